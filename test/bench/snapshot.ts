import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import { findWorkspace } from '../../node-runtime/workspace/find-workspace.ts';
import { packSnapshot } from '../../node-runtime/workspace/pack-snapshot.ts';
import { type Snapshot, takeSnapshot } from '../../node-runtime/workspace/take-snapshot.ts';
import { type Bench, figure, median } from './figures.ts';

const FILES = 50_000;
const FOLDER_FILES = 50;
const FIRSTS = 3;
const EDITS = 7;

/**
 * A workspace of 50,000 files, none of them committed: its first snapshot, one when nothing has changed, and one after a
 * line was added to a file, each until the pack to be sent lies ready. The floor is `git add -A && git write-tree` on a copy of
 * the same files, in turns; git makes no pack.
 */
export const bench: Bench = async log => {
  const folder = await mkdtemp(join(tmpdir(), 'simple-ci-bench-snapshot-'));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const ours = join(folder, 'ours');
  const theirs = join(folder, 'theirs');
  log(`making ${FILES} files, twice`);
  await makeFiles(ours);
  await cp(ours, theirs, { recursive: true });
  const env = { PATH: process.env.PATH ?? '/usr/bin:/bin', HOME: folder };
  for (const place of [ours, theirs]) await git(place, env, 'init', '--quiet');

  const first = { times: [] as number[], floors: [] as number[] };
  let snapshots = new Snapshots(ours, '', env);
  for (let run = 0; run < FIRSTS; run++) {
    log(`first snapshot, ${run + 1} of ${FIRSTS}`);
    await rm(join(theirs, '.git'), { recursive: true });
    await git(theirs, env, 'init', '--quiet');
    first.floors.push(await timeOf(() => gitTree(theirs, env)));
    snapshots = new Snapshots(ours, join(folder, `cache-${run}`), env);
    first.times.push(await timeOf(() => snapshots.take()));
  }
  const unchanged = { times: [] as number[], floors: [] as number[] };
  const edited = { times: [] as number[], floors: [] as number[], bytes: [] as number[] };
  for (let run = 0; run < EDITS; run++) {
    log(`unchanged and edited, ${run + 1} of ${EDITS}`);
    unchanged.floors.push(await timeOf(() => gitTree(theirs, env)));
    unchanged.times.push(await timeOf(() => snapshots.take()));
    for (const place of [ours, theirs]) await appendFile(join(place, fileName(run * 997)), `// edit ${run}\n`);
    edited.floors.push(await timeOf(() => gitTree(theirs, env)));
    edited.times.push(await timeOf(() => snapshots.take()));
    edited.bytes.push(snapshots.sent);
  }
  const compare = (name: string, { times, floors }: { times: number[]; floors: number[] }) =>
    figure(name, median(times), 'ms', { floor: median(floors), aim: { of: 'ratio', atMost: 1.5 } });
  return [
    compare(`first snapshot of ${FILES} files`, first),
    compare('nothing changed', unchanged),
    compare('one line edited', edited),
    figure('sent for the edit', median(edited.bytes), 'bytes', { aim: { of: 'value', atMost: 8192 } }),
  ];
};

type Env = Readonly<Record<string, string>>;

/** Takes and packs, as each run does; what was sent before is there. */
class Snapshots {
  sent = 0;
  readonly #root: string;
  readonly #cacheDir: string;
  readonly #env: Env;
  #last: Snapshot | undefined;

  constructor(root: string, cacheDir: string, env: Env) {
    this.#root = root;
    this.#cacheDir = cacheDir;
    this.#env = env;
  }

  async take(): Promise<void> {
    const options = { env: this.#env, signal: neverAborted };
    const workspace = await findWorkspace(this.#root);
    const snapshot = await takeSnapshot(workspace, { ...options, cacheDir: this.#cacheDir });
    // What the cluster has already is not packed again.
    if (snapshot.commit === this.#last?.commit) return;
    await using pack = await packSnapshot(snapshot, { ...options, base: this.#last });
    this.sent = pack.bytes;
    this.#last = snapshot;
  }
}

function fileName(at: number): string {
  const folder = Math.floor(at / FOLDER_FILES);
  return `packages/${folder % 40}/source/${folder}/module-${at}.ts`;
}

async function makeFiles(root: string): Promise<void> {
  for (let at = 0; at < FILES; at++) {
    const path = join(root, fileName(at));
    if (at % FOLDER_FILES === 0) await mkdir(join(path, '..'), { recursive: true });
    await writeFile(path, sourceText(at));
  }
}

function sourceText(at: number): string {
  const lines = [`import { part } from './module-${at - 1}.ts';\n`];
  for (let line = 0; line < 20 + (at % 60); line++)
    lines.push(`export const value${line} = part(${at}, ${(at * 7919 + line * 104729) % 1_000_003});\n`);
  return lines.join('');
}

async function gitTree(cwd: string, env: Env): Promise<void> {
  await git(cwd, env, 'add', '-A');
  await git(cwd, env, 'write-tree');
}

async function git(cwd: string, env: Env, ...args: string[]): Promise<void> {
  const child = spawn('git', args, { cwd, env, stdio: ['ignore', 'ignore', 'inherit'] });
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`git ${args.join(' ')} ended with ${code}`);
}

async function timeOf(work: () => Promise<void>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}
