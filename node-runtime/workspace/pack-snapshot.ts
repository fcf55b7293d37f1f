import { createHash, type Hash } from 'node:crypto';
import { mkdir, mkdtemp, open, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { CiError } from '../../shared/errors.ts';
import { type Clock, systemClock } from '../system/clock.ts';
import { Git, GitError, type UserEnvironment } from './git.ts';
import type { Snapshot } from './take-snapshot.ts';

export interface PackOptions {
  /** Commits of earlier snapshots of this workspace that the receiver has whole: what is in them is left out. */
  readonly have: readonly string[];
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
  const { have, env, signal, clock = systemClock } = options;
  const git = new Git(env, signal);
  if (have.length > 0) {
    const thin = await tryPack(git, snapshot, have, clock, signal);
    if (!(thin instanceof GitError)) return thin;
  }
  const full = await tryPack(git, snapshot, [], clock, signal);
  if (!(full instanceof GitError)) return full;
  await forget(snapshot, clock, signal);
  const again = await snapshot.retake();
  if (again.commit !== snapshot.commit)
    throw new CiError(
      'conflict',
      `Cannot send snapshot ${snapshot.commit} as the workspace has changed since it was taken`,
    );
  const repaired = await tryPack(git, again, [], clock, signal);
  if (repaired instanceof GitError) throw repaired;
  return repaired;
}

async function tryPack(git: Git, snapshot: Snapshot, have: readonly string[], clock: Clock, signal: AbortSignal) {
  using _lock = await snapshot.scratch.lock(clock, signal);
  try {
    await sweep(snapshot, clock);
    const made = await pack(git, snapshot, have);
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
async function pack(git: Git, { scratch, commit }: Snapshot, have: readonly string[]): Promise<SnapshotPack> {
  const folder = await mkdtemp(join(scratch.folder, 'packs', 'send-'));
  const remove = () => rm(folder, { recursive: true, force: true });
  const file = join(folder, 'pack');
  const revisions = [commit, ...have.map(base => `^${base}`)].map(line => `${line}\n`).join('');
  const call = { gitDir: scratch.gitDir, input: revisions, timeoutMs: PACK_TIMEOUT_MS };
  const isFull = have.length === 0;
  const thin = isFull ? [] : ['--thin', '--shallow'];
  const { stdout, ended } = git.stream(
    call,
    'pack-objects',
    '--revs',
    '--stdout',
    '--quiet',
    '--delta-base-offset',
    ...thin,
  );
  const hash = createHash('sha256');
  try {
    const bytes = await writeHashed(stdout, file, hash);
    const { code, stderr } = await ended;
    if (code !== 0) throw new GitError(['pack-objects'], code, stderr);
    return { id: hash.digest('hex'), bytes, file, isFull, [Symbol.asyncDispose]: remove };
  } catch (error) {
    await remove();
    throw error;
  }
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
