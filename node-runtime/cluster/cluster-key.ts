import { createHmac, randomBytes } from 'node:crypto';
import { CiError } from '../../shared/errors.ts';
import { FORMAT_VERSION } from '../../shared/task.ts';
import { CALL_TIMEOUT_MS, type Cluster } from './cluster.ts';

/**
 * `secrets/cluster-key`: 32 random bytes that all nodes of a cluster share and nobody else has. With keys derived from it
 * nodes sign what only nodes must be able to make: WebSocket tickets, the tokens with which they ask each other for live
 * logs, and the addresses of objects that lie in a directory. Any node can check what any other has signed, without asking.
 *
 * It lies in the coordination store as it is: who can write there can make admin tokens anyway. Deleting it makes the next
 * start form access anew, with a new admin token; tokens that exist go on working.
 */
export async function readClusterKey(
  cluster: Pick<Cluster, 'keys' | 'store'>,
  signal: AbortSignal,
): Promise<ClusterKey> {
  const key = cluster.keys.secret('cluster-key');
  const { records } = await cluster.store.range({ key, limit: 1 }, { signal, timeoutMs: CALL_TIMEOUT_MS });
  const bytes = Buffer.from(readKeyField(records[0]?.value), 'base64');
  if (bytes.length !== 32) throw new CiError('unavailable', `Cannot read ${key} as it is not 32 bytes in base64`);
  return new ClusterKey(bytes);
}

/** A new record for that key. */
export function clusterKeyRecord(cluster: Pick<Cluster, 'clock'>): string {
  return JSON.stringify({
    v: FORMAT_VERSION,
    key: randomBytes(32).toString('base64'),
    created: cluster.clock.now(),
  });
}

export class ClusterKey {
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** A key for one purpose: what is signed for one is worth nothing for another. */
  derive(purpose: 'tickets' | 'nodes' | 'objects'): Uint8Array {
    return createHmac('sha256', this.#bytes).update(`simple-ci ${purpose}`).digest();
  }
}

function readKeyField(value: string | undefined): string {
  try {
    const { key } = JSON.parse(value ?? '{}') as { key?: unknown };
    return typeof key === 'string' ? key : '';
  } catch {
    return '';
  }
}
