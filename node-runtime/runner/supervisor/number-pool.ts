/** Numbers of a range, each lent to one borrower at a time, and again as late as can be. */
export class NumberPool {
  readonly #first: number;
  readonly #count: number;
  readonly #lent = new Set<number>();
  #next = 0;

  constructor(first: number, count: number) {
    this.#first = first;
    this.#count = count;
  }

  /** Undefined when all are lent. */
  take(): number | undefined {
    for (let tries = 0; tries < this.#count; tries++) {
      const number = this.#first + this.#next;
      this.#next = (this.#next + 1) % this.#count;
      if (this.#lent.has(number)) continue;
      this.#lent.add(number);
      return number;
    }
    return undefined;
  }

  give(number: number): void {
    this.#lent.delete(number);
  }
}
