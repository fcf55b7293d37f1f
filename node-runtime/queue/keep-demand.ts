import { CALL_TIMEOUT_MS } from '../cluster/cluster.ts';
import { type Applicant, holdPost, type Post, type PostParts } from '../cluster/posts.ts';
import { readAll } from '../store/read-all.ts';
import type { Operation } from '../store/store.ts';
import { countDemand } from './count-demand.ts';
import { DemandView } from './demand-view.ts';

/** The post of the one node that counts. */
export const DEMAND_POST = 'demand';
/** At most so often is it written, in milliseconds, however fast tasks come and go. */
const WRITE_EVERY_MS = 1000;
/** Pools written in one transaction. */
const BATCH = 90;

/**
 * Keeps `demand/$POOL` right, whenever this node has the post: one node counts, and all others read. The keys are
 * written only when the number changes, and stay when it is 0 or their nodes are gone. That they can be trusted is
 * said by the post's record: whoever has just taken it has `counted` nothing yet.
 */
export function keepDemand(
  cluster: PostParts,
  applicant: Applicant,
  onError: (error: unknown) => void,
  signal: AbortSignal,
): Promise<void> {
  const work = (post: Post, held: AbortSignal) => count(cluster, post, held);
  return holdPost(cluster, DEMAND_POST, applicant, work, onError, signal);
}

async function count(cluster: PostParts, post: Post, signal: AbortSignal): Promise<void> {
  const done = new AbortController();
  const both = AbortSignal.any([signal, done.signal]);
  const view = new DemandView(cluster);
  const watching = view.run(both);
  try {
    await Promise.race([publish(cluster, post, view, both), watching]);
  } finally {
    done.abort();
    await watching.catch(() => undefined);
  }
}

/** Writes what changes, until the signal fires or the post is lost. */
async function publish(cluster: PostParts, post: Post, view: DemandView, signal: AbortSignal): Promise<void> {
  const written = await readWritten(cluster, signal);
  let { revision } = post;
  let hasCounted = false;
  while (!signal.aborted) {
    if (!view.takeChange()) {
      await view.changed.wait(signal);
      continue;
    }
    const changes = [...countDemand(view.tasks(), view.members, written.keys())]
      .map(([pool, slots]) => [pool, String(slots)] as const)
      .filter(([pool, slots]) => written.get(pool) !== slots);
    if (changes.length > 0 || !hasCounted) {
      const next = await write(cluster, post, revision, changes, signal);
      if (next === undefined) return;
      revision = next;
      for (const [pool, slots] of changes) written.set(pool, slots);
      hasCounted = true;
    }
    await cluster.clock.sleep(WRITE_EVERY_MS, signal).catch(() => undefined);
  }
}

async function readWritten({ keys, store }: PostParts, signal: AbortSignal): Promise<Map<string, string>> {
  const written = new Map<string, string>();
  for await (const { key, value } of readAll(store, keys.demands, { signal, timeoutMs: CALL_TIMEOUT_MS }))
    written.set(key.slice(keys.demands.length), value);
  return written;
}

/**
 * Returns the revision of the post after it; undefined if that was not as expected: it is lost, or a request that was given up has
 * arrived after all. Each write changes the post and goes only upon the one before, so that none arrives after a newer one.
 */
async function write(
  cluster: PostParts,
  { key, lease, record }: Post,
  before: number,
  changes: readonly (readonly [pool: string, slots: string])[],
  signal: AbortSignal,
): Promise<number | undefined> {
  const { keys, store } = cluster;
  let revision = before;
  const begun = { put: key, value: JSON.stringify(record), lease };
  const counted = { put: key, value: JSON.stringify({ ...record, counted: true }), lease };
  const puts: Operation[] = changes.map(([pool, slots]) => ({ put: keys.demand(pool), value: slots }));
  for (let at = 0; at === 0 || at < puts.length; at += BATCH) {
    const isLast = at + BATCH >= puts.length;
    const then = [...puts.slice(at, at + BATCH), isLast ? counted : begun];
    const when = [{ key, modRevision: revision }];
    const result = await store.commit({ when, then }, { signal, timeoutMs: CALL_TIMEOUT_MS });
    if (result.kind === 'ambiguous') throw result.cause;
    if (result.kind === 'refused') return undefined;
    revision = result.revision;
  }
  return revision;
}
