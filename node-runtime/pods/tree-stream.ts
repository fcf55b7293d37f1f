import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { CiError } from '../../shared/errors.ts';
import { SYSTEM_PATH } from '../runner/system-path.ts';

/** Writes a file or tree, as tar, by its path within `root`. */
export async function sendTree(root: string, path: string, to: Writable, signal: AbortSignal): Promise<void> {
  await tar(['-cf', '-', '-C', root, '--', path], signal, ({ stdout }) => pipeline(stdout, to, { signal }));
}

/** Takes what `sendTree` writes. */
export async function receiveTree(root: string, from: Readable, signal: AbortSignal): Promise<void> {
  await tar(['-xf', '-', '-C', root, '--no-same-owner'], signal, ({ stdin }) => pipeline(from, stdin, { signal }));
}

async function tar(
  args: readonly string[],
  signal: AbortSignal,
  carry: (child: { stdin: Writable; stdout: Readable }) => Promise<void>,
): Promise<void> {
  const child = spawn('tar', args, { env: { PATH: SYSTEM_PATH }, signal, stdio: ['pipe', 'pipe', 'pipe'] });
  let words = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    words = (words + text).slice(0, 1000);
  });
  const ended = once(child, 'close') as Promise<[number | null]>;
  const [end, carried] = await Promise.allSettled([ended, carry(child)]);
  if (end.status === 'rejected' || end.value[0] !== 0) {
    signal.throwIfAborted();
    const reason = end.status === 'rejected' ? String(end.reason) : words.trim() || `it ended with ${end.value[0]}`;
    throw new CiError('unavailable', `Cannot carry files between node and pod as tar says: ${reason}`);
  }
  if (carried.status === 'rejected') throw carried.reason;
}
