import { setTimeout as sleep } from 'node:timers/promises';

/** An answer that no other node would give differently: the request itself is refused. */
export class Refused extends Error {
  readonly status: number;

  constructor(what: string, status: number, body: string) {
    super(`${what} answered ${status}: ${body.slice(0, 300)}`);
    this.status = status;
  }
}

const TRY_MS = 10_000;
const PAUSE_MS = 300;

/**
 * The cluster's API as its users see it: any node will do, so one that does not answer is left for another. Only requests that may
 * be repeated are made here.
 */
export class ChaosApi {
  readonly #addresses: () => readonly string[];
  token = '';
  #turn = 0;

  constructor(addresses: () => readonly string[]) {
    this.#addresses = addresses;
  }

  /** Asks one node after the other until one answers, or the signal fires. */
  async request(method: string, path: string, body: unknown, signal: AbortSignal): Promise<Buffer> {
    for (;;) {
      signal.throwIfAborted();
      const answer = await this.#try(method, path, body, signal).catch((error: unknown) => {
        if (error instanceof Refused) throw error;
        return undefined;
      });
      if (answer) return answer;
      await sleep(PAUSE_MS, undefined, { signal });
    }
  }

  async json<T>(method: string, path: string, body: unknown, signal: AbortSignal): Promise<T> {
    return JSON.parse((await this.request(method, path, body, signal)).toString()) as T;
  }

  async #try(method: string, path: string, body: unknown, signal: AbortSignal): Promise<Buffer | undefined> {
    const addresses = this.#addresses();
    const address = addresses[this.#turn++ % addresses.length];
    if (address === undefined) return undefined;
    const answer = await fetch(address + path, {
      method,
      headers: {
        authorization: `Bearer ${this.token}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.any([signal, AbortSignal.timeout(TRY_MS)]),
    });
    const bytes = Buffer.from(await answer.arrayBuffer());
    if (answer.ok) return bytes;
    // Anything else may be another node's success: this one drains, or lacks its etcd.
    if ([400, 401, 403, 404, 409, 410, 413].includes(answer.status))
      throw new Refused(`${method} ${path}`, answer.status, bytes.toString());
    return undefined;
  }
}
