import type { TaskId } from '../../shared/ids.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { placeBefore, placeBeyond } from './queue-places.ts';
import type { QueueReader, Stretch } from './queue-reader.ts';

/** Keys of one stretch: tasks and locks. */
const STRETCH_KEYS = 64;
/** One with fewer free tasks than this is left to those who are at it. */
const STRETCH_FREE = 8;
/** How far apart they are read at least, in milliseconds. */
const PAUSE_MS = 25;
/** A queue with fewer free tasks than this has no room for nodes to keep out of each other's way. */
const LEAST_FREE = 64;
/** A lap through a long queue begins within this many times the 500 keys that are read to find a place. */
const REACH = 3;
/** A node leaves out up to so many times the length of its last stretch before the next. */
const LONGEST_GAP = 8;
/** How long a node moves on before it begins anew near the head, in milliseconds. */
const LAP_MS = 2000;
/** So many lost claims tell how contested a queue is; and more a claim that is won are too many. */
const TELLING_LOSSES = 4;
const MOST_LOSSES = 1 / 5;

/**
 * Where a node looks for tasks when many do: at one short stretch of the queue after another, begun at a place by chance
 * near the head. A stretch is read once and not watched, so that it costs nothing when others take tasks of it; the more of
 * them do, the sooner it is out of date.
 */
export class QueueStretches {
  readonly #cluster: Cluster;
  readonly #reader: QueueReader;
  readonly #rests: (id: TaskId) => boolean;
  #head: TaskId;
  /** Where the next one begins after; undefined: a lap begins. */
  #place: string | undefined;
  /** By `Clock.monotonic`: when the lap is over. */
  #until = 0;
  /** By the same: not to be read before. */
  #earliest = 0;
  #won = 0;
  #lost = 0;
  #isLong = false;

  constructor(cluster: Cluster, reader: QueueReader, rests: (id: TaskId) => boolean, head: TaskId) {
    this.#cluster = cluster;
    this.#reader = reader;
    this.#rests = rests;
    this.#head = head;
  }

  noteWon(): void {
    this.#won++;
  }

  noteLost(): void {
    this.#lost++;
  }

  /** Whether the queue is so short that too many claims are lost: what is read is out of date too soon. */
  get areContested(): boolean {
    return !this.#isLong && this.#lost >= TELLING_LOSSES && this.#lost > this.#won * MOST_LOSSES;
  }

  /** The next one with something to take; undefined when the queue is short. */
  async next(signal: AbortSignal): Promise<Stretch | undefined> {
    const { keys, clock, chance } = this.#cluster;
    for (;;) {
      await clock.sleep(Math.max(0, this.#earliest - clock.monotonic()), signal);
      this.#earliest = clock.monotonic() + PAUSE_MS;
      if (clock.monotonic() >= this.#until) this.#place = undefined;
      this.#place ??= await this.#beginLap(signal);
      if (this.#place === undefined) return undefined;
      const stretch = await this.#reader.stretch(this.#place, STRETCH_KEYS, signal);
      const { window, first, last, more } = stretch;
      this.#place = more && first && last ? placeBeyond(keys, first, last, LONGEST_GAP, chance) : undefined;
      if (window.free(STRETCH_FREE, this.#rests).length === STRETCH_FREE) return stretch;
    }
  }

  async #beginLap(signal: AbortSignal): Promise<string | undefined> {
    const { keys, clock, chance } = this.#cluster;
    this.#until = clock.monotonic() + LAP_MS;
    const { first, last, free, more } = await this.#reader.outline(placeBefore(keys, this.#head), signal);
    if (!first || !last || (!more && free.length < LEAST_FREE)) return undefined;
    this.#head = first;
    this.#isLong = more;
    const alike = free.filter(id => id[0] === first[0]);
    // The first tasks are in as many stretches as the others: in those that would begin before them.
    const at = Math.floor(chance.random() * (alike.length * (more ? REACH : 1) + STRETCH_KEYS)) - STRETCH_KEYS;
    const id = alike[Math.max(0, at)];
    return id ? placeBefore(keys, id) : placeBeyond(keys, first, last, REACH - 1, chance);
  }
}
