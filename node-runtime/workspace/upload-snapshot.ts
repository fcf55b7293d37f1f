import { openAsBlob } from 'node:fs';
import type { SnapshotManifest } from '../../shared/api.ts';
import { CiError, isCiError } from '../../shared/errors.ts';
import { FORMAT_VERSION } from '../../shared/task.ts';
import { type Chance, systemChance } from '../system/chance.ts';
import { type Clock, systemClock } from '../system/clock.ts';
import { retry } from '../system/retry.ts';
import type { UserEnvironment } from './git.ts';
import { packSnapshot, type SnapshotPack } from './pack-snapshot.ts';
import type { Scratch, Sent } from './scratch.ts';
import type { Snapshot } from './take-snapshot.ts';

/** What the cluster is asked and told about snapshots: the client's calls of the same names. */
export interface SnapshotTransport {
  /** Which of these the cluster has whole. */
  check(commits: readonly string[], signal: AbortSignal): Promise<readonly string[]>;
  get(commit: string, signal: AbortSignal): Promise<SnapshotManifest>;
  uploadPack(id: string, signal: AbortSignal): Promise<{ readonly url: string }>;
  put(manifest: SnapshotManifest, signal: AbortSignal): Promise<unknown>;
}

export interface UploadOptions {
  /** What was found already. Absent: it is asked for. */
  readonly earlier?: EarlierSnapshots;
  readonly env: UserEnvironment;
  readonly signal: AbortSignal;
  readonly clock?: Clock;
  readonly chance?: Chance;
  /** Called before anything is sent, with what will be. What it throws ends the upload. */
  readonly beforeSending?: (pack: { readonly bytes: number; readonly isFull: boolean }) => Promise<void> | void;
}

export interface UploadResult {
  /** 0 when the cluster had the snapshot already. */
  readonly sentBytes: number;
  /** Of how many packs the snapshot consists now. */
  readonly packs: number;
}

/** Chains get slower to fetch and hold more that nobody needs any more the longer they are: then all is sent anew. */
const MAX_CHAIN = 20;
const MAX_REMEMBERED = 10;
const UPLOAD_RETRY_MS = 60_000;

/** What the cluster has of the earlier snapshots of a workspace. */
export interface EarlierSnapshots {
  /** Those that it has whole. */
  readonly present: readonly string[];
  /** The newest of them, unless many packs are on top of each other already. */
  readonly base: Base | undefined;
}

type Base = Sent & Pick<SnapshotManifest, 'packs'>;

/** Asks for them. A snapshot may be taken at the same time: this needs none. */
export async function findEarlier(
  scratch: Scratch,
  transport: SnapshotTransport,
  signal: AbortSignal,
): Promise<EarlierSnapshots> {
  const sent = (await scratch.remembered())?.sent ?? [];
  if (sent.length === 0) return { present: [], base: undefined };
  const commits = sent.map(({ commit }) => commit);
  const present = await transport.check(commits, signal);
  return { present, base: await findBase(transport, sent, present, signal) };
}

/**
 * Makes the cluster have a snapshot: sends what it lacks as one pack, against the newest earlier snapshot of this workspace that
 * it still has, and publishes the manifest. Rejects with `unavailable` when the pack cannot be sent within a minute of trying.
 */
export async function uploadSnapshot(
  snapshot: Snapshot,
  transport: SnapshotTransport,
  options: UploadOptions,
): Promise<UploadResult> {
  const { signal, clock = systemClock } = options;
  const earlier = options.earlier ?? (await findEarlier(snapshot.scratch, transport, signal));
  const isKnown = earlier.present.includes(snapshot.commit);
  // Somebody else may have sent the same.
  if (isKnown || (await transport.check([snapshot.commit], signal)).length > 0) {
    await remember(snapshot, clock, signal);
    return { sentBytes: 0, packs: (await transport.get(snapshot.commit, signal)).packs.length };
  }
  const { base } = earlier;
  try {
    return await send(snapshot, transport, options, base);
  } catch (error) {
    // Retention may have taken the base since it was asked for.
    if (base === undefined || !isCiError(error, 'conflict')) throw error;
    return send(snapshot, transport, options, undefined);
  }
}

async function findBase(
  transport: SnapshotTransport,
  sent: readonly Sent[],
  present: readonly string[],
  signal: AbortSignal,
): Promise<Base | undefined> {
  const newest = sent.find(({ commit }) => present.includes(commit));
  if (newest === undefined) return undefined;
  try {
    const { packs } = await transport.get(newest.commit, signal);
    return packs.length < MAX_CHAIN ? { ...newest, packs } : undefined;
  } catch (error) {
    if (isCiError(error, 'not-found') || isCiError(error, 'gone')) return undefined;
    throw error;
  }
}

async function send(
  snapshot: Snapshot,
  transport: SnapshotTransport,
  options: UploadOptions,
  base: Base | undefined,
): Promise<UploadResult> {
  const { signal, clock = systemClock } = options;
  await using pack = await packSnapshot(snapshot, { ...options, base });
  await options.beforeSending?.(pack);
  await sendPack(pack, transport, options);
  const { id, bytes } = pack;
  const { commit, tree, shallow } = snapshot;
  const packs = [...(pack.isFull ? [] : base!.packs), { id, bytes }];
  await transport.put({ v: FORMAT_VERSION, commit, tree, shallow: [...shallow], packs, created: clock.now() }, signal);
  await remember(snapshot, clock, signal);
  return { sentBytes: bytes, packs: packs.length };
}

async function sendPack(pack: SnapshotPack, transport: SnapshotTransport, options: UploadOptions): Promise<void> {
  const { signal, clock = systemClock, chance = systemChance } = options;
  const attempt = async () => {
    const { url } = await transport.uploadPack(pack.id, signal);
    await putFile(url, pack.file, signal);
  };
  const isTransient = (error: unknown) => isCiError(error, 'unavailable');
  await retry(attempt, { clock, chance, signal, isTransient, limitMs: UPLOAD_RETRY_MS });
}

/** Streams the file; a Blob tells its length, without which object stores refuse. */
async function putFile(url: string, file: string, signal: AbortSignal): Promise<void> {
  const refused = (code: 'unavailable' | 'forbidden', why: string, cause?: unknown) =>
    new CiError(code, `Cannot send pack as ${new URL(url).host} ${why}`, { cause });
  const body = await openAsBlob(file);
  let answer: Response;
  try {
    answer = await fetch(url, { method: 'PUT', body, signal });
  } catch (error) {
    signal.throwIfAborted();
    throw refused('unavailable', 'could not be reached', error);
  }
  const text = await answer.text().catch(() => '');
  if (answer.ok) return;
  const isTransient = answer.status >= 500 || answer.status === 429 || answer.status === 408;
  throw refused(isTransient ? 'unavailable' : 'forbidden', `answered ${answer.status}: ${text.slice(0, 200)}`);
}

async function remember({ scratch, commit, head }: Snapshot, clock: Clock, signal: AbortSignal): Promise<void> {
  using _lock = await scratch.lock(clock, signal);
  const sent = (await scratch.remembered())?.sent ?? [];
  const others = sent.filter(other => other.commit !== commit);
  await scratch.rememberSent([{ commit, head }, ...others].slice(0, MAX_REMEMBERED));
}
