import type { LeaseId } from '../store/store.ts';
import { type Moment, momentOf } from '../system/clock.ts';
import { Wakeup } from '../system/wakeup.ts';
import { CALL_TIMEOUT_MS, type Cluster } from './cluster.ts';

/** How long a node may be silent before the cluster takes it for dead, in seconds. An outside promise. */
export const LEASE_TTL_SECONDS = 30;
const RENEW_EVERY_MS = 5000;
/** Without an acknowledged renewal for this long, nothing new is claimed. */
const STOP_CLAIMING_AFTER_MS = 10_000;

type SessionParts = Pick<Cluster, 'store' | 'clock' | 'chance'>;

/** Why claims of a session are void: etcd has ended the lease, and with it every lock under it. */
class SessionLost extends Error {
  override readonly name = 'SessionLost';
}

/** A renewal that the store has acknowledged. */
export interface Renewal {
  readonly lease: LeaseId;
  /** What it is counted from: the store may have ended the lease 30 s later, and not before. */
  readonly sent: Moment;
}

/**
 * One lease of the store, kept alive: the member record and every claim of the node stand under it.
 *
 * Ages are counted from when the last acknowledged renewal was *sent*: the store cannot have ended the lease earlier than
 * TTL after that. Both clocks are asked and the larger answer counts, as the monotonic one stands still while a laptop
 * sleeps and the other may be set.
 */
export class Session {
  readonly lease: LeaseId;
  /** Fires with SessionLost when the store says that the lease is gone. Silence alone never fires it: an outage kills nothing. */
  readonly lost: AbortSignal;
  /** Notified when a renewal is acknowledged after a silence long enough for tasks to have been frozen. */
  readonly recovered = new Wakeup();
  readonly #cluster: SessionParts;
  readonly #onRenewed: (renewal: Renewal) => void;
  readonly #lost = new AbortController();
  #sent: Moment;

  private constructor(cluster: SessionParts, lease: LeaseId, sent: Moment, onRenewed: (renewal: Renewal) => void) {
    this.#cluster = cluster;
    this.#onRenewed = onRenewed;
    this.lease = lease;
    this.lost = this.#lost.signal;
    this.#sent = sent;
    onRenewed({ lease, sent });
  }

  /** @param onRenewed told of each acknowledged renewal, the grant included */
  static async open(
    cluster: SessionParts,
    onRenewed: (renewal: Renewal) => void,
    signal: AbortSignal,
  ): Promise<Session> {
    const sent = momentOf(cluster.clock);
    const lease = await cluster.store.grantLease(LEASE_TTL_SECONDS, { signal, timeoutMs: CALL_TIMEOUT_MS });
    return new Session(cluster, lease, sent, onRenewed);
  }

  /** Milliseconds since the last acknowledged renewal was sent. */
  get age(): number {
    const now = momentOf(this.#cluster.clock);
    return Math.max(now.monotonic - this.#sent.monotonic, now.wall - this.#sent.wall);
  }

  get maySafelyClaim(): boolean {
    return !this.lost.aborted && this.age < STOP_CLAIMING_AFTER_MS;
  }

  /** Renews until the lease is lost or the signal fires; resolves then. */
  async keep(signal: AbortSignal): Promise<void> {
    const { clock, chance } = this.#cluster;
    const ended = AbortSignal.any([signal, this.lost]);
    while (!ended.aborted) {
      const renewed = await this.#renew(ended);
      const pause = renewed ? RENEW_EVERY_MS : 200 + 300 * chance.random();
      await clock.sleep(pause, ended).catch(() => undefined);
    }
  }

  /** Deletes everything under the lease at once. For a node that goes; its claims must have ended. */
  async close(signal: AbortSignal): Promise<void> {
    if (this.lost.aborted) return;
    this.#lost.abort(new SessionLost('The node ended its session'));
    await this.#cluster.store.revokeLease(this.lease, { signal, timeoutMs: CALL_TIMEOUT_MS });
  }

  async #renew(signal: AbortSignal): Promise<boolean> {
    const sent = momentOf(this.#cluster.clock);
    const silence = this.age;
    try {
      const ttl = await this.#cluster.store.renewLease(this.lease, { signal, timeoutMs: CALL_TIMEOUT_MS });
      if (ttl === 0) {
        this.#lost.abort(new SessionLost('The store has ended the node’s lease: it was not renewed in time'));
        return false;
      }
    } catch {
      return false;
    }
    this.#sent = sent;
    this.#onRenewed({ lease: this.lease, sent });
    if (silence >= STOP_CLAIMING_AFTER_MS) this.recovered.notify();
    return true;
  }
}
