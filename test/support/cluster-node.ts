import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { start } from './simple-ci.ts';
import { eventually } from './test-tasks.ts';

export interface ClusterNode {
  readonly process: ChildProcess;
  readonly address: string;
  /** Of the cluster, if the node has formed it. */
  readonly token: string | undefined;
}

export interface ClusterNodeOptions {
  /** Default: acme/ci. */
  readonly cluster?: string;
  readonly name: string;
  readonly data: string;
  /** Default: any that is free. */
  readonly port?: number;
  readonly labels?: readonly string[];
}

/** All that were started here: none outlives the tests. */
const nodes: ChildProcess[] = [];

/** `simple-ci node` as an operator starts it. */
export async function clusterNode({
  cluster = 'acme/ci',
  name,
  data,
  port = 0,
  labels = [],
}: ClusterNodeOptions): Promise<ClusterNode> {
  const words = ['--cluster', cluster, '--node-id', name, '--listen', `127.0.0.1:${port}`, '--data', data];
  if (labels.length > 0) words.push('--labels', labels.join());
  const child = await start(['node', '--json', ...words], { env: {} });
  nodes.push(child);
  let text = '';
  child.stdout?.on('data', chunk => (text += chunk));
  const events = () =>
    text.split('\n').flatMap(line => (line.startsWith('{') && line.endsWith('}') ? [JSON.parse(line)] : []));
  const ready = await eventually('the node is ready', () => events().find(({ event }) => event === 'ready'), 60_000);
  return {
    process: child,
    address: ready.address,
    token: events().find(({ event }) => event === 'admin-token')?.token,
  };
}

/** SIGKILL: it says goodbye to nobody. */
export async function end(child: ChildProcess): Promise<void> {
  const ended = once(child, 'close');
  child.kill('SIGKILL');
  await ended;
}

export function endAllNodes(): void {
  for (const node of nodes) node.kill('SIGKILL');
}
