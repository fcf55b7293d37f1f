import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, copyFileSync, openSync, statSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { newTokenText } from '../../node-runtime/cluster/token-text.ts';
import type { Isolation, RunningCommand, Sandbox } from '../../node-runtime/runner/sandbox.ts';
import { readProcess } from '../../node-runtime/runner/supervisor/proc.ts';
import { EmbeddedStore } from '../../node-runtime/store/embedded-store.ts';
import { neverAborted, systemClock } from '../../node-runtime/system/clock.ts';
import { runProcess } from '../../node-runtime/system/subprocess.ts';
import { finish, isRoot, processesWith, start, supervised } from '../runner/supervisor/supervised.ts';
import { type Metadata, serveMetadata } from './metadata-stand-in.ts';
import { testApi } from './test-api.ts';
import { submit } from './test-tasks.ts';
import { until } from './until.ts';

/** Where there is a secret to be found. */
export const PLACES = [
  'environment',
  'commandLine',
  'inherited',
  'file',
  'opened',
  'memory',
  'task',
  'taskEnvironment',
];
export type Secrets = Readonly<Record<string, string>>;

/** So many processes may a task have here that has a user of its own. */
export const MOST_PROCESSES = 300;

/** A node with secrets in all its places, its API, a task that has secrets too, and room for one that is after them. */
export interface Stage extends AsyncDisposable {
  readonly isolation: Isolation;
  readonly secrets: Secrets;
  readonly dataDir: string;
  /** Of the other task. */
  readonly otherFolder: string;
  readonly other: Sandbox;
  /** Undefined where there can be none. */
  readonly metadata: Metadata | undefined;
  open(): Promise<Sandbox>;
  start(sandbox: Sandbox, script: string): RunningCommand;
  /** What a script prints as a task; it must come to its end. */
  run(sandbox: Sandbox, script: string): Promise<string>;
  /** What it prints when the node itself runs it. */
  runAsNode(script: string, folder: string): Promise<string>;
}

export async function setStage(isolation: Isolation, dataDir: string, secrets: Secrets): Promise<Stage> {
  await using started = new AsyncDisposableStack();
  await writeFile(join(dataDir, 'token'), `${secrets.file}\n`, { mode: 0o600 });
  await writeFile(join(dataDir, 'opened'), `${secrets.opened}\n`, { mode: 0o600 });
  openSync(join(dataDir, 'opened'), 'r');
  const kept = Buffer.from(`in memory: ${secrets.memory}`);
  started.defer(() => {
    if (kept.length === 0) throw new Error('The secret in memory is gone');
  });
  const store = started.use(await EmbeddedStore.open({ file: join(dataDir, 'store.sqlite'), clock: systemClock }));
  const api = started.use(await testApi({ store }));
  const metadata = await serveMetadata();
  if (metadata) started.use(metadata);
  const rules = { root: join(dataDir, 'sandboxes'), mostProcesses: MOST_PROCESSES };
  const node = started.use(await supervised(isolation, rules));
  const other = started.use(await node.open());
  const victim = await startVictim(other, secrets);
  const otherFolder = join(other.folders.workspace, '..');
  const hints = {
    NODE: String(process.pid),
    SUPERVISOR: String(supervisorOf(process.pid)),
    VICTIM: String(victim),
    DATA: dataDir,
    OTHER: otherFolder,
    API: new URL(api.url).port,
    TASK: await submit(api.cluster),
    TOKEN: newTokenText('admin').text,
    SETUID: letRunAsRoot(join(dataDir, 'id')),
  };
  const run = async (sandbox: Sandbox, script: string) => {
    const { output } = await finish(start(sandbox, `${script}\necho; echo tried`, hints));
    if (!/^tried$/m.test(output)) throw new Error(`It did not come to its end: ${script}\n${output.slice(-500)}`);
    return output;
  };
  const owned = started.move();
  return {
    isolation,
    secrets,
    dataDir,
    otherFolder,
    other,
    metadata,
    open: () => node.open(),
    start: (sandbox, script) => start(sandbox, script, hints),
    run,
    runAsNode: async (script, cwd) => {
      const call = { cwd, env: { ...process.env, ...hints }, signal: neverAborted, timeoutMs: 60_000 };
      return (await runProcess({ argv: ['/bin/sh', '-c', `${script}\nexit 0`], ...call })).stdout.toString();
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** The other task: a process with secrets. Resolves to its pid. */
async function startVictim(sandbox: Sandbox, secrets: Secrets): Promise<number> {
  await writeFile(join(sandbox.folders.workspace, 'secret.txt'), `${secrets.task}\n`);
  await sandbox.adopt(sandbox.folders.workspace);
  const word = newWord();
  start(sandbox, 'exec perl -e "sleep 1000" $WORD', { WORD: word, SECRET: secrets.taskEnvironment ?? '' });
  const isPerl = (pid: number) =>
    spawnSync('readlink', [`/proc/${pid}/exe`])
      .stdout.toString()
      .includes('perl');
  const find = () => processesWith(word).find(isPerl);
  await until('the other task runs', find);
  return find()!;
}

/** A word that no other process of this machine has. */
export function newWord(): string {
  return `hostile-${randomBytes(8).toString('hex')}`;
}

function supervisorOf(node: number): number | undefined {
  const parentOf = (pid: number) => readProcess(pid)?.parent ?? 0;
  return processesWith('supervise').find(pid => parentOf(parentOf(pid)) === node);
}

/** A copy of `id` that runs as root, whoever starts it; only root can make one. */
function letRunAsRoot(path: string): string {
  copyFileSync('/usr/bin/id', path);
  chmodSync(path, isRoot ? 0o4755 : 0o755);
  if (isRoot && (statSync(path).mode & 0o4000) === 0) throw new Error('It cannot be made to run as root');
  return path;
}
