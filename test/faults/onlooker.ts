import { setTimeout as sleep } from 'node:timers/promises';
import { type ChaosApi, Refused } from './chaos-api.ts';
import type { Violation } from './check-tape.ts';

/** What a node says of a task, as far as time must not turn it back. */
export interface Sight {
  readonly state: 'queued' | 'running' | 'finished';
  readonly attempt?: number;
  /** Attempts that have ended. */
  readonly past?: readonly { readonly attempt: number }[];
  readonly result?: { readonly outcome: string; readonly fence: number };
}

const LOOK_EVERY_MS = 1000;
/** So many tasks are looked at at once: more would be load of its own. */
const AT_ONCE = 20;
/** A task is looked at so often after it has been seen to be finished: by then another node is asked. */
const LOOKS_AFTER_END = 3;

/** Somebody who looks at tasks again and again, each time at another node, and remembers what was said. */
export class Onlooker {
  readonly violations: Violation[] = [];
  readonly #api: ChaosApi;
  readonly #signal: AbortSignal;
  readonly #enough = new AbortController();
  readonly #looking = new Set<Promise<void>>();

  constructor(api: ChaosApi, signal: AbortSignal) {
    this.#api = api;
    this.#signal = AbortSignal.any([signal, this.#enough.signal]);
  }

  /** Begins to look at a task that the cluster has acknowledged, if there is time for it. */
  follow(id: string): void {
    if (this.#looking.size >= AT_ONCE) return;
    const looking = this.#look(id)
      .catch((error: unknown) => {
        if (error instanceof Refused) this.#report(id, error.message);
        else if (!this.#signal.aborted) throw error;
      })
      .finally(() => this.#looking.delete(looking));
    this.#looking.add(looking);
  }

  /** Resolves when all that is followed has been seen to end, or the time is over. */
  async settled(limitMs: number): Promise<void> {
    const timer = setTimeout(() => this.#enough.abort(), limitMs);
    await Promise.all(this.#looking);
    clearTimeout(timer);
  }

  async #look(id: string): Promise<void> {
    let last: Sight = { state: 'queued' };
    for (let ends = 0; ends <= LOOKS_AFTER_END; ) {
      const sight = await this.#api.json<Sight>('GET', `/v1/tasks/${id}`, undefined, this.#signal);
      const problem = turnedBack(last, sight);
      if (problem) this.#report(id, problem);
      if (sight.state === 'finished') ends++;
      last = sight;
      await sleep(LOOK_EVERY_MS, undefined, { signal: this.#signal });
    }
  }

  #report(subject: string, text: string): void {
    this.violations.push({ invariant: 'I9', subject, text });
  }
}

/** What is wrong with seeing one after the other. */
export function turnedBack(before: Sight, after: Sight): string | undefined {
  if (before.state === 'finished') {
    const told = ({ state, result }: Sight) => `${state} ${result?.outcome} by ${result?.fence}`;
    return told(before) === told(after) ? undefined : `it was ${told(before)}, and then ${told(after)}`;
  }
  return placeOf(after) < placeOf(before) ? `it was ${wordsFor(before)}, and then ${wordsFor(after)}` : undefined;
}

/** Larger for what comes later: queued before its first attempt, each attempt, queued when that was lost, the end. */
function placeOf(sight: Sight): number {
  if (sight.state === 'finished') return Number.POSITIVE_INFINITY;
  if (sight.state === 'running') return 2 * (sight.attempt ?? 0);
  const last = lastOf(sight);
  return last === 0 ? 0 : 2 * last + 1;
}

function wordsFor(sight: Sight): string {
  return sight.state === 'queued' ? `queued after attempt ${lastOf(sight)}` : `${sight.state} as ${sight.attempt}`;
}

function lastOf({ past = [] }: Sight): number {
  return past.at(-1)?.attempt ?? 0;
}
