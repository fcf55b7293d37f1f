import { z } from 'zod';
import { isCiError } from '../../shared/errors.ts';
import { FORMAT_VERSION } from '../../shared/task.ts';
import type { LeaseId } from '../store/store.ts';
import { deadline } from '../system/clock.ts';
import { CALL_TIMEOUT_MS, type Cluster } from './cluster.ts';
import type { Session } from './session.ts';

/** `posts/NAME`: who holds it. */
export const PostRecord = z.looseObject({
  v: z.int().min(1),
  node: z.string(),
  instance: z.string(),
});
export type PostRecord = z.infer<typeof PostRecord>;

/** The right to do what one does for all, as long as the key is there that this revision created. */
export interface Post {
  readonly key: string;
  readonly fence: number;
  /** That changed the key last, when it was looked at. */
  readonly revision: number;
  readonly lease: LeaseId;
  readonly record: PostRecord;
}

export type PostParts = Pick<Cluster, 'keys' | 'store' | 'clock' | 'chance'>;

export interface Applicant {
  readonly node: string;
  readonly instance: string;
  /** Undefined while there is none. */
  readonly session: () => Session | undefined;
}

/** Those who see a post become free wait up to so long, in milliseconds, so that not all of them try at once. */
const SPREAD_MS = 1000;
const PAUSE_MS = 1000;
/** A watch that missed the end of a key would wait for ever: the key is looked at anew so often. */
const LOOK_AGAIN_MS = 60_000;

/**
 * Does some work whenever this node holds a post, until the signal fires. The post is a key under the node's lease: it falls free
 * when the node ends or is lost, and anybody else may have it then. It is no election: nobody follows its holder, and work
 * that writes compares the key, so that a holder that has lost it without knowing writes nothing. Work ends by its signal, or
 * by itself when it finds the post gone.
 */
export async function holdPost(
  cluster: PostParts,
  name: string,
  applicant: Applicant,
  work: (post: Post, signal: AbortSignal) => Promise<void>,
  onError: (error: unknown) => void,
  signal: AbortSignal,
): Promise<void> {
  const { clock, chance } = cluster;
  while (!signal.aborted) {
    const session = applicant.session();
    try {
      const post = session?.maySafelyClaim ? await takePost(cluster, name, applicant, session, signal) : undefined;
      if (post && session) await work(post, AbortSignal.any([signal, session.lost]));
      else if (session?.maySafelyClaim) await untilFree(cluster, name, signal);
    } catch (error) {
      if (signal.aborted) return;
      if (!session?.lost.aborted) {
        if (!isCiError(error)) throw error;
        onError(error);
      }
    }
    await clock.sleep(PAUSE_MS * (0.5 + chance.random()), signal).catch(() => undefined);
  }
}

/** Undefined when another holds it. */
async function takePost(
  cluster: PostParts,
  name: string,
  { node, instance }: Applicant,
  { lease }: Session,
  signal: AbortSignal,
): Promise<Post | undefined> {
  const { keys, store } = cluster;
  const key = keys.post(name);
  const call = { signal, timeoutMs: CALL_TIMEOUT_MS };
  const record: PostRecord = { v: FORMAT_VERSION, node, instance };
  // Looked at first: a try that is refused costs etcd as much as one that is not.
  const found = (await store.range({ key, limit: 1 }, call)).records[0];
  if (found)
    return found.lease === lease
      ? { key, fence: found.createRevision, revision: found.modRevision, lease, record }
      : undefined;
  const result = await store.commit(
    { when: [{ key, exists: false }], then: [{ put: key, value: JSON.stringify(record), lease }] },
    call,
  );
  // One whose answer was lost is found to be ours at the next look.
  return result.kind === 'committed'
    ? { key, fence: result.revision, revision: result.revision, lease, record }
    : undefined;
}

async function untilFree(cluster: PostParts, name: string, signal: AbortSignal): Promise<void> {
  const { keys, store, clock, chance } = cluster;
  const key = keys.post(name);
  const { records, revision } = await store.range(
    { key, limit: 1, keysOnly: true },
    { signal, timeoutMs: CALL_TIMEOUT_MS },
  );
  if (records.length === 0) return;
  using patience = deadline(clock, LOOK_AGAIN_MS * (0.5 + chance.random()), signal);
  for await (const { changes } of store.watch({ prefix: key, from: revision + 1 }, patience.signal)) {
    if (changes.some(change => change.kind === 'delete' && change.key === key)) break;
  }
  await clock.sleep(SPREAD_MS * chance.random(), signal).catch(() => undefined);
}

/** Gives a post up, if it is still held, so that others may have it. */
export async function leavePost({ store }: PostParts, { key, fence }: Post, signal: AbortSignal): Promise<void> {
  const leaving = { when: [{ key, createRevision: fence }], then: [{ delete: key }] };
  await store.commit(leaving, { signal, timeoutMs: CALL_TIMEOUT_MS });
}
