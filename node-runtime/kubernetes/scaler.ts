import { z } from 'zod';
import { CiError, isCiError } from '../../shared/errors.ts';
import type { NodeId } from '../../shared/ids.ts';
import { poolName } from '../../shared/pools.ts';
import type { MemberRecord } from '../../shared/result.ts';
import { FORMAT_VERSION } from '../../shared/task.ts';
import { CALL_TIMEOUT_MS } from '../cluster/cluster.ts';
import { type Applicant, holdPost, type Post, type PostParts } from '../cluster/posts.ts';
import { countDemand } from '../queue/count-demand.ts';
import { DemandView } from '../queue/demand-view.ts';
import { readAll } from '../store/read-all.ts';
import { deadline } from '../system/clock.ts';
import type { KubernetesApi } from './kubernetes-api.ts';
import { nextScaleStep, type ScaledNode, type ScaleStep } from './next-scale-step.ts';

export interface ScalerOptions {
  readonly cluster: PostParts;
  readonly applicant: Applicant;
  readonly api: Pick<KubernetesApi, 'namespace' | 'get' | 'patch'>;
  /** In the namespace of the pod. */
  readonly deployment: string;
  /** What its nodes have, all alike. */
  readonly labels: readonly string[];
  readonly slots: number;
  readonly min: number;
  readonly max: number;
  /** How long fewer nodes must have been enough before there are fewer, in milliseconds. */
  readonly scaleInAfterMs: number;
  readonly log: (message: string, fields: Readonly<Record<string, unknown>>) => void;
  readonly onError: (error: unknown) => void;
}

/** Looked at so often when nothing is heard, and not more often when much is, in milliseconds. */
const LONGEST_WAIT_MS = 2000;
const SHORTEST_WAIT_MS = 250;
/** After a failure everything stays as it is for so long. */
const PAUSE_MS = 5000;

const Scale = z.looseObject({
  metadata: z.looseObject({ resourceVersion: z.string() }),
  spec: z.looseObject({ replicas: z.number().int().default(0) }),
});

/** Scales the Deployment of the node's pool, whenever this node holds the post, until the signal fires. */
export function keepScaled(options: ScalerOptions, signal: AbortSignal): Promise<void> {
  const { cluster, applicant, labels, onError } = options;
  const work = (post: Post, held: AbortSignal) => new Scaler(options, post).run(held);
  return holdPost(cluster, `scale.${poolName(labels)}`, applicant, work, onError, signal);
}

class Scaler {
  readonly #options: ScalerOptions;
  readonly #post: Post;
  readonly #view: DemandView;
  readonly #pool: string;
  /** What was asked for of late, oldest first. */
  readonly #asked: { readonly at: number; readonly nodes: number }[];

  constructor(options: ScalerOptions, post: Post) {
    this.#options = options;
    this.#post = post;
    this.#view = new DemandView(options.cluster);
    this.#pool = poolName(options.labels);
    // Of what was before nothing is known: it may have been the most.
    this.#asked = [{ at: options.cluster.clock.monotonic(), nodes: options.max }];
  }

  async run(signal: AbortSignal): Promise<void> {
    const done = new AbortController();
    const both = AbortSignal.any([signal, done.signal]);
    const watching = this.#view.run(both);
    try {
      await Promise.race([this.#steps(both), watching]);
    } finally {
      done.abort();
      await watching.catch(() => undefined);
    }
  }

  async #steps(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options.cluster;
    while (!this.#view.takeChange() && !signal.aborted) await this.#view.changed.wait(signal);
    while (!signal.aborted) {
      const pause = await this.#step(signal).then(
        () => SHORTEST_WAIT_MS,
        error => {
          if (signal.aborted) return 0;
          if (!isCiError(error)) throw error;
          // Somebody else has changed the Deployment, or has the post: looked at anew.
          if (error.code !== 'conflict') this.#options.onError(error);
          return error.code === 'conflict' ? SHORTEST_WAIT_MS : PAUSE_MS;
        },
      );
      await clock.sleep(pause, signal).catch(() => undefined);
      using patience = deadline(clock, LONGEST_WAIT_MS, signal);
      if (!this.#view.takeChange()) await this.#view.changed.wait(patience.signal);
    }
  }

  async #step(signal: AbortSignal): Promise<void> {
    const { max, api } = this.#options;
    const { wanted, recent } = this.#note();
    const path = await this.#path();
    const { metadata, spec } = readScale(await api.get(path, { signal }));
    const nodes = await this.#nodes(signal);
    const step = nextScaleStep({ wanted, recent, replicas: spec.replicas, max, nodes });
    if (step.kind === 'nothing') return;
    this.#options.log('Scales', { ...step, of: spec.replicas, wanted, demand: this.#demand() });
    if (step.kind !== 'replicas') await this.#ask(step, signal);
    // With the version that was read: whoever else has changed it meanwhile wins.
    else await api.patch(path, { metadata, spec: { replicas: step.replicas } }, { signal });
  }

  async #path(): Promise<string> {
    const { api, deployment } = this.#options;
    return `/apis/apps/v1/namespaces/${await api.namespace()}/deployments/${deployment}/scale`;
  }

  #demand(): number {
    return countDemand(this.#view.tasks(), this.#view.members, [this.#pool]).get(this.#pool) ?? 0;
  }

  /** How many nodes are wanted now, and how many were wanted at most in the time that must pass. */
  #note(): { wanted: number; recent: number } {
    const { cluster, slots, min, max, scaleInAfterMs } = this.#options;
    const wanted = Math.min(max, Math.max(min, Math.ceil(this.#demand() / slots)));
    const at = cluster.clock.monotonic();
    this.#asked.push({ at, nodes: wanted });
    while (this.#asked[0]!.at < at - scaleInAfterMs) this.#asked.shift();
    return { wanted, recent: Math.max(...this.#asked.map(({ nodes }) => nodes)) };
  }

  async #nodes(signal: AbortSignal): Promise<ScaledNode[]> {
    const { keys, store } = this.#options.cluster;
    const marks = readAll(store, keys.retirings, { signal, timeoutMs: CALL_TIMEOUT_MS });
    const asked = new Set((await Array.fromAsync(marks)).map(({ key }) => key.slice(keys.retirings.length)));
    const busy = new Set([...this.#view.tasks()].map(({ holder }) => holder?.node));
    return [...this.#view.members].filter(this.#isOurs).map(({ node, draining, started }) => ({
      node,
      isDraining: draining,
      isAsked: asked.has(node),
      isIdle: !busy.has(node),
      // It goes last, so that another does not have to begin anew.
      started: node === this.#options.applicant.node ? Number.NEGATIVE_INFINITY : started,
    }));
  }

  readonly #isOurs = ({ labels, slots }: MemberRecord): boolean => slots > 0 && poolName(labels) === this.#pool;

  /** A node's mark stands under the lease of its member record: it is gone with the node. */
  async #ask({ kind, nodes }: Extract<ScaleStep, { nodes: unknown }>, signal: AbortSignal): Promise<void> {
    const { keys, store } = this.#options.cluster;
    const call = { signal, timeoutMs: CALL_TIMEOUT_MS };
    const held = { key: this.#post.key, createRevision: this.#post.fence };
    for (const name of nodes) {
      const node = name as NodeId;
      const member = (await store.range({ key: keys.member(node), limit: 1 }, call)).records[0];
      if (!member?.lease) continue;
      const { instance } = JSON.parse(member.value) as MemberRecord;
      const mark = {
        put: keys.retiring(node),
        value: JSON.stringify({ v: FORMAT_VERSION, instance }),
        lease: member.lease,
      };
      const same = { key: keys.member(node), modRevision: member.modRevision };
      const transaction =
        kind === 'retire'
          ? { when: [held, same], then: [mark] }
          : { when: [held], then: [{ delete: keys.retiring(node) }] };
      const result = await store.commit(transaction, call);
      if (result.kind === 'ambiguous') throw result.cause;
      if (result.kind === 'refused') throw new CiError('conflict', `Cannot ask ${node} as it or the post has changed`);
    }
  }
}

function readScale(answer: unknown): z.infer<typeof Scale> {
  const parsed = Scale.safeParse(answer);
  if (parsed.success) {
    const { resourceVersion } = parsed.data.metadata;
    return { ...parsed.data, metadata: { resourceVersion } };
  }
  throw new CiError('unavailable', 'Cannot read how many pods there are as Kubernetes’ answer is no Scale', {
    cause: parsed.error,
  });
}
