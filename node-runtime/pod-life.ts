import { isCiError } from '../shared/errors.ts';
import type { NodeId } from '../shared/ids.ts';
import type { Cluster } from './cluster/cluster.ts';
import type { Session } from './cluster/session.ts';
import type { KubernetesApi } from './kubernetes/kubernetes-api.ts';
import type { PodMark, PodMarker } from './kubernetes/pod-marker.ts';
import type { Retirement } from './kubernetes/retirement.ts';
import type { NodeOptions } from './options.ts';
import type { Logger } from './system/logger.ts';
import { Wakeup } from './system/wakeup.ts';

/** What a node in a pod has besides. */
export interface PodParts {
  readonly marker: PodMarker;
  /** When nodes scale their Deployment themselves. */
  readonly scaling?: NonNullable<NodeOptions['scale']> & {
    readonly api: Pick<KubernetesApi, 'namespace' | 'get' | 'patch'>;
    readonly retirement: Retirement;
  };
}

/** The node in it. */
interface Inhabitant {
  readonly cluster: Cluster;
  readonly nodeId: NodeId;
  readonly instance: string;
  readonly labels: readonly string[];
  readonly slots: number;
  readonly state: { readonly session: Session | undefined; isRetired: boolean };
  readonly logger: Logger;
  readonly isBusy: () => boolean;
  /** Writes the member record anew. */
  readonly announce: () => Promise<void>;
  /** Drains it, as a signal does. */
  readonly drain: () => void;
}

const PAUSE_MS = 500;

/** What a node does only because it is in a pod: it tells Kubernetes when it is busy, and may be asked to retire. */
export class PodLife {
  /** To be notified when the node has become busy, or has perhaps nothing to do. */
  readonly changed = new Wakeup();
  readonly #parts: PodParts;
  readonly #node: Inhabitant;
  #isRetiring = false;

  constructor(parts: PodParts, node: Inhabitant) {
    this.#parts = parts;
    this.#node = node;
  }

  /** Its loops, which end by the signal. */
  begin(signal: AbortSignal): Record<string, Promise<void>> {
    const { marker, scaling } = this.#parts;
    marker.deleted.addEventListener('abort', () => this.#leave(), { once: true, signal });
    return {
      pod: marker.keep(() => this.#mark, this.changed, signal),
      ...(scaling && {
        retirement: scaling.retirement.watch(this.changed, signal),
        scaler: this.#scale(scaling, signal),
      }),
    };
  }

  /** Claims, but while it is asked to retire. `claim` resolves when its signal has fired and no claim is under way any more. */
  async claim(claim: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void> {
    const { scaling } = this.#parts;
    while (!signal.aborted) {
      const asked = scaling ? [scaling.retirement.asked] : [];
      await claim(AbortSignal.any([signal, ...asked]));
      if (scaling && !signal.aborted) await this.#retire(scaling.retirement, signal);
    }
  }

  #leave(): void {
    this.#node.logger.warn('Drains, as its pod was deleted before the node was there to hear it');
    this.#node.drain();
  }

  get #mark(): PodMark {
    if (this.#node.isBusy()) return 'busy';
    return this.#isRetiring ? 'retired' : 'idle';
  }

  /**
   * What runs ends first; then Kubernetes hears that this pod is to go first, and then the cluster that it can. Ends when it is
   * wanted again.
   */
  async #retire(retirement: Retirement, signal: AbortSignal): Promise<void> {
    const { state, isBusy } = this.#node;
    this.#isRetiring = true;
    this.changed.notify();
    while (retirement.asked.aborted && !signal.aborted) {
      if (state.isRetired || isBusy() || this.#parts.marker.marked !== 'retired') await this.changed.wait(signal);
      else await this.#tell(true, signal);
    }
    this.#isRetiring = false;
    this.changed.notify();
    await this.#tell(false, signal);
  }

  /** Until it is told: who waits for it waits for ever else. A session that is opened meanwhile begins with it. */
  async #tell(isRetired: boolean, signal: AbortSignal): Promise<void> {
    const { cluster, state, announce } = this.#node;
    state.isRetired = isRetired;
    while (!signal.aborted) {
      try {
        return await announce();
      } catch (error) {
        if (!isCiError(error) && !signal.aborted) throw error;
        await cluster.clock.sleep(PAUSE_MS, signal).catch(() => undefined);
      }
    }
  }

  async #scale({ api, retirement: _, ...scale }: NonNullable<PodParts['scaling']>, signal: AbortSignal): Promise<void> {
    const { keepScaled } = await import('./kubernetes/scaler.ts');
    const { cluster, nodeId: node, instance, state, labels, slots, logger } = this.#node;
    const applicant = { node, instance, session: () => state.session };
    const log = (message: string, fields: Readonly<Record<string, unknown>>) => logger.info(message, fields);
    const onError = (error: unknown) => logger.warn('Cannot scale: the number of pods stays as it is', { error });
    await keepScaled({ cluster, applicant, api, labels, slots, ...scale, log, onError }, signal);
  }
}
