/** Others are many when they take this many times as many tasks as this node, and it has seen some of that. */
const MANY = 3;
const SEEN_TASKS = 64;

/** How many tasks of the queue this node has taken, and seen others take. It knows nothing else of them. */
export class QueueRivals {
  #own = 0;
  #others = 0;

  get areMany(): boolean {
    return this.#others > SEEN_TASKS && this.#others > MANY * this.#own;
  }

  /** @param wasSeen it had been seen before, and taken for that of somebody else */
  noteOwn(wasSeen: boolean): void {
    if (wasSeen) this.#others--;
    this.#own++;
  }

  noteOther(): void {
    this.#others++;
  }

  forget(): void {
    this.#own = 0;
    this.#others = 0;
  }
}
