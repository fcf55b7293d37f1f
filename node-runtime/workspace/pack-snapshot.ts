import { createHash, type Hash } from 'node:crypto';
import { mkdir, mkdtemp, open, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { CiError } from '../../shared/errors.ts';
import { type Clock, systemClock } from '../system/clock.ts';
import { type FilePath, splitPaths } from './file-path.ts';
import { Git, GitError, type UserEnvironment } from './git.ts';
import type { Sent } from './scratch.ts';
import type { Snapshot } from './take-snapshot.ts';

export interface PackOptions {
  /** An earlier snapshot of this workspace that the receiver has whole: what is in it is left out. */
  readonly base?: Sent | undefined;
  readonly env: UserEnvironment;
  readonly signal: AbortSignal;
  readonly clock?: Clock;
}

/** A pack file to send, which nobody else uses. Disposing of it deletes the file. */
export interface SnapshotPack extends AsyncDisposable {
  /** SHA-256 of its bytes. */
  readonly id: string;
  readonly bytes: number;
  readonly file: string;
  /** It holds all of the snapshot, and leans on no other pack. */
  readonly isFull: boolean;
}

/**
 * Packs what the receiver lacks of a snapshot. What it is said to have but we have no longer is packed again; rejects with
 * `conflict` if the snapshot itself is not whole any more and the workspace has changed since.
 */
export async function packSnapshot(snapshot: Snapshot, options: PackOptions): Promise<SnapshotPack> {
  const { base, env, signal, clock = systemClock } = options;
  const git = new Git(env, signal);
  if (base) {
    const thin = await tryPack(git, snapshot, base, clock, signal);
    if (!(thin instanceof GitError)) return thin;
  }
  const full = await tryPack(git, snapshot, undefined, clock, signal);
  if (!(full instanceof GitError)) return full;
  await forget(snapshot, clock, signal);
  const again = await snapshot.retake();
  if (again.commit !== snapshot.commit)
    throw new CiError(
      'conflict',
      `Cannot send snapshot ${snapshot.commit} as the workspace has changed since it was taken`,
    );
  const repaired = await tryPack(git, again, undefined, clock, signal);
  if (repaired instanceof GitError) throw repaired;
  return repaired;
}

async function tryPack(git: Git, snapshot: Snapshot, base: Sent | undefined, clock: Clock, signal: AbortSignal) {
  using _lock = await snapshot.scratch.lock(clock, signal);
  try {
    await sweep(snapshot, clock);
    const made = await pack(git, snapshot, base);
    if (made.isFull) await tidyUp(git, snapshot);
    return made;
  } catch (error) {
    if (error instanceof GitError) return error;
    throw error;
  }
}

/** More packs than this have seen many thousands of files come and go: what they hold is mostly of no more use. */
const MAX_OWN_PACKS = 20;

/** Drops what only earlier snapshots consist of: packs will be made against this one. */
async function tidyUp(git: Git, { scratch, commit }: Snapshot): Promise<void> {
  await git.output({ gitDir: scratch.gitDir }, 'prune', '--expire=now', commit);
  const files = await readdir(join(scratch.gitDir, 'objects/pack'));
  if (files.filter(name => name.endsWith('.pack')).length > MAX_OWN_PACKS) await scratch.reset();
}

async function forget({ scratch }: Snapshot, clock: Clock, signal: AbortSignal): Promise<void> {
  using _lock = await scratch.lock(clock, signal);
  await scratch.reset();
}

/** Longer than any upload takes. */
const ABANDONED_MS = 86_400_000;

/** Deletes what those left behind who were killed while they sent. */
async function sweep({ scratch }: Snapshot, clock: Clock): Promise<void> {
  const folder = join(scratch.folder, 'packs');
  await mkdir(folder, { recursive: true });
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Infinity }));
    if (mtimeMs < clock.now() - ABANDONED_MS) await rm(path, { recursive: true, force: true });
  }
}

/** Into a folder of its own: the same snapshot may be on its way from another run of the same workspace. */
async function pack(git: Git, snapshot: Snapshot, base: Sent | undefined): Promise<SnapshotPack> {
  const { scratch } = snapshot;
  const { args, input } = await chooseObjects(git, snapshot, base);
  const folder = await mkdtemp(join(scratch.folder, 'packs', 'send-'));
  const remove = () => rm(folder, { recursive: true, force: true });
  const file = join(folder, 'pack');
  const call = { gitDir: scratch.gitDir, input, timeoutMs: PACK_TIMEOUT_MS };
  const { stdout, ended } = git.stream(call, 'pack-objects', '--stdout', '--quiet', '--delta-base-offset', ...args);
  const hash = createHash('sha256');
  try {
    const bytes = await writeHashed(stdout, file, hash);
    const { code, stderr } = await ended;
    if (code !== 0) throw new GitError(['pack-objects'], code, stderr);
    return { id: hash.digest('hex'), bytes, file, isFull: base === undefined, [Symbol.asyncDispose]: remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** What `git pack-objects` is told to pack. */
interface Objects {
  readonly args: readonly string[];
  readonly input: string | Buffer;
}

async function chooseObjects(git: Git, snapshot: Snapshot, base: Sent | undefined): Promise<Objects> {
  const { commit, head } = snapshot;
  if (!base) return { args: ['--revs'], input: `${commit}\n` };
  // With another HEAD, its files are to be sent as well: git finds out which.
  if (base.head !== head) return { args: ['--revs', '--thin', '--shallow'], input: `${commit}\n^${base.commit}\n` };
  return { args: [], input: await listNewObjects(git, snapshot, base) };
}

/**
 * What two trees differ in, named one by one: git would look at each folder that both have in common to find the same, which
 * took eight times as long of 1000 folders. The line with a - makes for deltas against the base, as --thin does.
 */
async function listNewObjects(git: Git, { scratch, commit, tree }: Snapshot, base: Sent): Promise<Buffer> {
  // diff-tree would read the index, if there were one, without need.
  const call = { gitDir: scratch.gitDir, indexFile: join(scratch.gitDir, 'no-index') };
  const output = await git.output(call, 'diff-tree', '-r', '-t', '-z', '--no-renames', base.commit, commit);
  const fields = splitPaths(output);
  const found = new Map<string, FilePath>([
    [commit, ''],
    [tree, ''],
  ]);
  const old = new Set<string>();
  for (let at = 0; at + 1 < fields.length; at += 2) {
    // As in `:100644 100644 OLD NEW M`
    const [, , before = '', after = ''] = fields[at]!.split(' ');
    old.add(before);
    // The path only helps to find a similar object: one with a line end in it would end the line.
    if (!/^0+$/.test(after)) found.set(after, fields[at + 1]!.replaceAll('\n', ' '));
  }
  const fresh = [...found].filter(([id]) => !old.has(id)).map(([id, path]) => `${id} ${path}\n`);
  return Buffer.from([`-${base.commit}\n`, ...fresh].join(''), 'latin1');
}

/** For the first pack of a very large workspace. */
const PACK_TIMEOUT_MS = 3_600_000;

async function writeHashed(chunks: AsyncIterable<Buffer>, path: string, hash: Hash): Promise<number> {
  await using file = await open(path, 'w', 0o600);
  let bytes = 0;
  for await (const chunk of chunks) {
    hash.update(chunk);
    bytes += chunk.length;
    await file.writeFile(chunk);
  }
  return bytes;
}
