import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import { newTaskId } from '../../shared/ids.ts';
import type { RealCluster } from '../support/real-cluster.ts';
import { clientOf } from '../support/simple-ci.ts';

/** A file of log lines as builds and tests print them: of different lengths, half of it said before. */
export async function logFile(
  bytes: number,
): Promise<{ readonly path: string; readonly text: Buffer } & AsyncDisposable> {
  const folder = await mkdtemp(join(tmpdir(), 'simple-ci-bench-log-'));
  const path = join(folder, 'log');
  const text = Buffer.from(logText(bytes)).subarray(0, bytes);
  await writeFile(path, text);
  return { path, text, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
}

const FOLDERS = ['store', 'queue', 'runner', 'logs', 'api', 'workspace'];
const VERBS = ['claims', 'retries', 'refuses', 'streams', 'uploads', 'compares', 'resumes'];

function logText(bytes: number): string {
  const lines: string[] = [];
  for (let length = 0, line = 0; length < bytes; line++) {
    const folder = FOLDERS[line % FOLDERS.length];
    const chance = Math.random();
    const took = (chance * 1000).toFixed(3);
    const text =
      line % 7 === 0
        ? `    at run (file:///build/node_modules/${folder}/dist/index-${(chance * 1e9).toFixed(0)}.js:${line}:17)\n`
        : `2026-11-24T03:${String(line % 60).padStart(2, '0')}:07.${took.slice(-3)}Z ok ${line} - ${folder} ${VERBS[line % VERBS.length]} case ${(chance * 4096).toFixed(0)} (${took} ms)\n`;
    lines.push(text);
    length += text.length;
  }
  return lines.join('');
}

/** Hands a task of one command to the first node, and tells its id. */
export async function submitCommand(cluster: RealCluster, run: string): Promise<string> {
  const id = newTaskId(5, Date.now(), Math.random);
  const task = { name: 'bench', steps: [{ run, shell: 'bash' as const }] };
  await using client = clientOf(cluster.nodes[0]!, cluster.token);
  await client.call('submitTask', { body: { id, task } }, neverAborted);
  return id;
}
