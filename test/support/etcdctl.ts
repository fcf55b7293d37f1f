import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { EtcdServer } from './etcd-server.ts';

const run = promisify(execFile);

/** Plain etcdctl, as an operator has it: what it shows is the contract. */
export async function etcdctl(etcd: EtcdServer, ...args: string[]): Promise<string> {
  const env = { ...process.env, ETCDCTL_API: '3' };
  const { stdout } = await run('etcdctl', ['--endpoints', etcd.endpoints.join(','), ...args], {
    env,
    maxBuffer: 1 << 28,
  });
  return stdout;
}

/** The keys under a prefix. */
export async function keysUnder(etcd: EtcdServer, prefix: string): Promise<string[]> {
  return (await etcdctl(etcd, 'get', '--prefix', '--keys-only', prefix)).split('\n').filter(line => line !== '');
}

export async function recordAt(etcd: EtcdServer, key: string): Promise<Record<string, unknown> | undefined> {
  const text = (await etcdctl(etcd, 'get', '--print-value-only', key)).trim();
  return text === '' ? undefined : (JSON.parse(text) as Record<string, unknown>);
}

/** Seconds that the lease of a key has been granted, and still has. */
export async function leaseOf(etcd: EtcdServer, key: string): Promise<{ granted: number; left: number }> {
  // The id does not fit a double: it is taken from the text.
  const text = await etcdctl(etcd, 'get', key, '--write-out=json');
  const id = BigInt(/"lease":(\d+)/.exec(text)?.[1] ?? 0).toString(16);
  const status = await etcdctl(etcd, 'lease', 'timetolive', id);
  const match = /granted with TTL\((\d+)s\), remaining\((\d+)s\)/.exec(status);
  return { granted: Number(match?.[1]), left: Number(match?.[2]) };
}
