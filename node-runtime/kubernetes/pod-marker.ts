import { z } from 'zod';
import { isCiError } from '../../shared/errors.ts';
import type { Clock } from '../system/clock.ts';
import { deadline } from '../system/clock.ts';
import type { Wakeup } from '../system/wakeup.ts';
import type { KubernetesApi } from './kubernetes-api.ts';

/** What a pod says of itself: it may go, it works, or it has nothing to do and is meant to go first. */
export type PodMark = 'idle' | 'busy' | 'retired';

export interface PodMarkerOptions {
  readonly api: Pick<KubernetesApi, 'namespace' | 'patch'>;
  /** Its own pod. */
  readonly pod: string;
  readonly clock: Clock;
  readonly onNotice: (text: string) => void;
}

/** A pod between two tasks is not idle: it is said only after so long, in milliseconds, and short tasks cost no patches. */
const IDLE_AFTER_MS = 5000;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;

/** Lower ones are deleted first. It takes a pod of which nothing is known, which counts as 0, for an idle one. */
const DELETION_COST: Readonly<Record<PodMark, string>> = { retired: '-1', idle: '0', busy: '100' };

/**
 * Tells Kubernetes what a node's own pod does: whoever makes pods fewer takes those first that lose nothing. One patch at each change
 * between idle and busy, none in between. Without the right to it nothing is told, and that is said once: then a busy pod
 * may be chosen, and has its grace to finish.
 */
export class PodMarker {
  readonly #options: PodMarkerOptions;
  readonly #deleted = new AbortController();
  #marked: PodMark | undefined;
  #isOff = false;

  constructor(options: PodMarkerOptions) {
    this.#options = options;
  }

  /** What Kubernetes was told last, and has taken. */
  get marked(): PodMark | undefined {
    return this.#marked;
  }

  /**
   * Fires when the first answer says that the pod was deleted by then. Its only SIGTERM may have come before this program could hear
   * it: to the first process of a container the kernel gives no signal that it does not wait for.
   */
  get deleted(): AbortSignal {
    return this.#deleted.signal;
  }

  /** Keeps telling until the signal fires. `changed` is notified whenever `wanted` may answer something else, and by this when it has told. */
  async keep(wanted: () => PodMark, changed: Wakeup, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    for (let pause = FIRST_PAUSE_MS; !signal.aborted && !this.#isOff; ) {
      const mark = wanted();
      if (mark === this.#marked) {
        await changed.wait(signal);
      } else if (mark === 'idle' && this.#marked === 'busy' && (await this.#becomesBusy(wanted, changed, signal))) {
        // It has stayed what it was told to be.
      } else if (await this.#tell(mark, signal)) {
        pause = FIRST_PAUSE_MS;
        changed.notify();
      } else if (!this.#isOff) {
        await clock.sleep(pause, signal).catch(() => undefined);
        pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
      }
    }
  }

  /** Whether it is no longer idle before it has been for a while. */
  async #becomesBusy(wanted: () => PodMark, changed: Wakeup, signal: AbortSignal): Promise<boolean> {
    using patience = deadline(this.#options.clock, IDLE_AFTER_MS, signal);
    while (!patience.signal.aborted && wanted() === 'idle') await changed.wait(patience.signal);
    return wanted() !== 'idle';
  }

  async #tell(mark: PodMark, signal: AbortSignal): Promise<boolean> {
    const { api, pod, onNotice } = this.#options;
    try {
      const path = `/api/v1/namespaces/${await api.namespace()}/pods/${pod}`;
      const answer = await api.patch(path, patchOf(mark), { signal });
      if (this.#marked === undefined && isBeingDeleted(answer)) this.#deleted.abort(new Error('The pod was deleted'));
      this.#marked = mark;
      return true;
    } catch (error) {
      if (signal.aborted) return false;
      if (!isCiError(error)) throw error;
      if (error.code === 'forbidden' || error.code === 'not-found' || error.code === 'invalid') {
        this.#isOff = true;
        onNotice(`Kubernetes is not told when this pod is busy, so it may choose it to be deleted: ${error.message}`);
      }
      return false;
    }
  }
}

const Pod = z.looseObject({ metadata: z.looseObject({ deletionTimestamp: z.string().optional() }) });

function isBeingDeleted(answer: unknown): boolean {
  return Pod.safeParse(answer).data?.metadata.deletionTimestamp !== undefined;
}

/** One patch says it to all who choose pods: ReplicaSets, cluster-autoscaler, Karpenter, and by its label a PodDisruptionBudget. */
function patchOf(mark: PodMark): object {
  const isBusy = mark === 'busy';
  return {
    metadata: {
      labels: { 'simple-ci/busy': String(isBusy) },
      annotations: {
        'controller.kubernetes.io/pod-deletion-cost': DELETION_COST[mark],
        'cluster-autoscaler.kubernetes.io/safe-to-evict': String(!isBusy),
        'karpenter.sh/do-not-disrupt': isBusy ? 'true' : null,
      },
    },
  };
}
