interface Event {
  readonly due: number;
  readonly order: number;
  run: (() => void) | undefined;
}

export type Cancel = () => void;

/**
 * Virtual time: what is due happens in its order, one event at a time, and nothing happens in between. After each event
 * everything runs that can run without time passing – all promise reactions, which is what one turn of the event loop
 * guarantees. So a history depends on the events alone, as long as nobody waits for a thread, a file or a real timer.
 */
export class Scheduler {
  /** When it began, in milliseconds since 1970. Set to a later time, it is later for everybody though no time has passed. */
  calendar = Date.UTC(2026, 0, 1);
  #now = 0;
  #order = 0;
  #count = 0;
  /** A heap: the first is due first. */
  readonly #heap: Event[] = [];

  /** Milliseconds since the beginning. */
  get now(): number {
    return this.#now;
  }

  /** How many events there have been. */
  get count(): number {
    return this.#count;
  }

  after(ms: number, run: () => void): Cancel {
    const event: Event = { due: this.#now + Math.max(0, ms), order: this.#order++, run };
    this.#push(event);
    return () => {
      event.run = undefined;
    };
  }

  /** Lets time pass until the condition holds; false if it does not at that time, or when nothing is due any more. */
  runUntil(isOver: () => boolean, limit: number): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const turn = () => {
        try {
          if (isOver()) return resolve(true);
          const next = this.#take(limit);
          if (!next) {
            this.#now = Math.max(this.#now, Math.min(limit, Number.MAX_SAFE_INTEGER));
            return resolve(false);
          }
          this.#now = next.due;
          this.#count++;
          next.run!();
        } catch (error) {
          return reject(error);
        }
        setImmediate(turn);
      };
      setImmediate(turn);
    });
  }

  /** The next event that was not cancelled, if it is due by then. */
  #take(limit: number): Event | undefined {
    for (let first = this.#heap[0]; first !== undefined && first.due <= limit; first = this.#heap[0]) {
      this.#pop();
      if (first.run) return first;
    }
    return undefined;
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.push(event) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!isBefore(heap[at]!, heap[above]!)) return;
      swap(heap, at, above);
      at = above;
    }
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    heap[0] = last;
    for (let at = 0; ; ) {
      let least = at;
      for (const below of [2 * at + 1, 2 * at + 2])
        if (below < heap.length && isBefore(heap[below]!, heap[least]!)) least = below;
      if (least === at) return;
      swap(heap, at, least);
      at = least;
    }
  }
}

function isBefore(one: Event, other: Event): boolean {
  return one.due < other.due || (one.due === other.due && one.order < other.order);
}

function swap(heap: Event[], one: number, other: number): void {
  const kept = heap[one]!;
  heap[one] = heap[other]!;
  heap[other] = kept;
}
