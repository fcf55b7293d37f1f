import type { Clock } from '../../node-runtime/system/clock.ts';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import type { SeededChance } from './seeded-chance.ts';

/** How bad a network is: probabilities for one message, or one request with its answer. */
export interface Weather {
  readonly lostRequest: number;
  readonly lostAnswer: number;
  /** The connection breaks while the answer is on its way: the caller knows at once that it will not know. */
  readonly brokenAnswer: number;
  /** Nobody takes the connection: the caller knows that nothing was done. */
  readonly refused: number;
  /** A message takes 0.2 to 6 s. */
  readonly slow: number;
  /** A request lies about for up to 30 s and is then done all the same. */
  readonly late: number;
  /** The request is done twice; the answer is that of the second time. */
  readonly twice: number;
}

export const FAIR_WEATHER: Weather = {
  lostRequest: 0,
  lostAnswer: 0,
  brokenAnswer: 0,
  refused: 0,
  slow: 0,
  late: 0,
  twice: 0,
};

export type Answer<T> =
  | { readonly kind: 'done'; readonly value: T }
  /** The other side has said no. */
  | { readonly kind: 'failed'; readonly error: unknown }
  /** It was not heard at all. */
  | { readonly kind: 'refused' }
  /** Nobody will ever know. */
  | { readonly kind: 'broken' };

/** Whoever can be told something: a process, which may be paused or dead. */
export interface Party extends Clock {
  deliver(run: () => void): void;
}

/** Why waiting for an answer has ended, and nobody asks. One for all: making an error anew takes longer than all else. */
export const OVER = new Error('The wait is over');

/** Something that happens to a party at the very moment at which it sends a certain transaction. */
export interface Ambush {
  /** What the first key that it writes must be like: it tells the moves of the protocol apart. */
  readonly at: RegExp;
  /** The request leaves when `depart` is called. */
  readonly strike: (depart: () => void) => void;
}

/** A message takes so many milliseconds at least and at most when nothing is wrong. */
const LATENCY_MS = [0.5, 12] as const;

/** The way between a party and a service: messages take time, get lost, and do not get through while it is cut. */
export class Link {
  readonly party: Party;
  readonly #outside: Clock;
  readonly #chance: SeededChance;
  readonly #isPerfect: boolean;
  readonly #onCut = new Set<() => void>();
  weather = FAIR_WEATHER;
  /** Nothing gets through, and nobody is told. */
  isPartitioned = false;
  /** Answers, and what is watched, do not get through; requests do. */
  isDeafened = false;
  /** Told of bad weather that a message has really had. */
  onWeather: (kind: keyof Weather) => void = () => undefined;
  /** Waits for the party to write. */
  ambush: Ambush | undefined;

  /** @param outside the time of the world @param isPerfect nothing takes any time */
  constructor(party: Party, outside: Clock, chance: SeededChance, isPerfect = false) {
    this.party = party;
    this.#outside = outside;
    this.#chance = chance;
    this.#isPerfect = isPerfect;
  }

  /** Has keys written at the other side: as `exchange`, if the party lives to send it. */
  write<T>(keys: readonly string[], effect: () => T, onAnswer: (answer: Answer<T>) => void): void {
    const { ambush } = this;
    const depart = () => this.exchange(effect, onAnswer);
    if (ambush && keys[0] !== undefined && ambush.at.test(keys[0])) {
      this.ambush = undefined;
      ambush.strike(depart);
    } else depart();
  }

  /** Has something done at the other side. What gets lost never answers; the caller must have its own limit. */
  exchange<T>(effect: () => T, onAnswer: (answer: Answer<T>) => void): void {
    const { weather } = this;
    const chance = this.#chance;
    if (this.isPartitioned || this.#strikes('lostRequest')) return;
    const wait = this.#strikes('late') ? chance.between(3000, 30_000) : this.#latency();
    const arrive = () => {
      if (this.isPartitioned) return;
      if (this.#strikes('refused', weather)) return this.#answer({ kind: 'refused' }, onAnswer);
      if (!this.#strikes('twice', weather)) return this.#answer(attempt(effect), onAnswer);
      attempt(effect);
      this.#after(this.#latency(), () => this.#answer(attempt(effect), onAnswer));
    };
    this.#after(wait, arrive);
  }

  /** Brings something to the party, unless `isOver` says that it is not wanted any more. Resolves when it has arrived. */
  bring(run: () => void, isOver: () => boolean): Promise<void> {
    return new Promise(resolve => {
      const arrive = () => {
        if (isOver()) return;
        // A stream is not lost but waits, until it is cut.
        if (this.isPartitioned || this.isDeafened) return this.#after(500, arrive);
        this.party.deliver(run);
        resolve();
      };
      this.#after(this.#latency(), arrive);
    });
  }

  /** Breaks streams and whatever waits for an answer. */
  cut(): void {
    for (const broken of [...this.#onCut]) broken();
  }

  /** @returns what ends the listening */
  onCut(broken: () => void): () => void {
    this.#onCut.add(broken);
    return () => this.#onCut.delete(broken);
  }

  #answer<T>(answer: Answer<T>, onAnswer: (answer: Answer<T>) => void): void {
    const isBroken = this.#strikes('brokenAnswer');
    if (this.#strikes('lostAnswer')) return;
    this.#after(this.#latency(), () => {
      if (this.isPartitioned || this.isDeafened) return;
      this.party.deliver(() => onAnswer(isBroken ? { kind: 'broken' } : answer));
    });
  }

  /** Throws the dice once, whatever the odds. */
  #strikes(kind: keyof Weather, weather = this.weather): boolean {
    const happens = this.#chance.happens(weather[kind]);
    if (happens) this.onWeather(kind);
    return happens;
  }

  #latency(): number {
    if (this.#isPerfect) return 0;
    return this.#strikes('slow') ? this.#chance.between(200, 6000) : this.#chance.between(...LATENCY_MS);
  }

  #after(ms: number, run: () => void): void {
    if (ms === 0) run();
    else void this.#outside.sleep(ms, neverAborted).then(run);
  }
}

function attempt<T>(effect: () => T): Answer<T> {
  try {
    return { kind: 'done', value: effect() };
  } catch (error) {
    return { kind: 'failed', error };
  }
}
