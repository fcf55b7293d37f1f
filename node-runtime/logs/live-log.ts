import type { LogEndEvent, LogMark } from '../../shared/log.ts';
import type { LogStretch } from '../../shared/log-events.ts';
import { Wakeup } from '../system/wakeup.ts';
import { LogBlock } from './log-block.ts';

/** Blocks kept in memory, stored or not: 7 MiB. A follower further behind reads the stored pieces. */
const BLOCKS_IN_MEMORY = 7;

/**
 * The log of an attempt that this node runs, as far as it is in memory: all that is not stored yet, and what was stored last.
 * A reader takes what it wants when it wants it: one that stops reading keeps nobody waiting.
 */
export class LiveLog {
  /** All of the attempt's: a few for each step. */
  readonly marks: LogMark[] = [];
  readonly changed = new Wakeup();
  #blocks: LogBlock[] = [new LogBlock(0, 0)];
  #storedTo = 0;
  #end: LogEndEvent['reason'] | undefined;

  get bytes(): number {
    return this.open.end;
  }

  /** Where what is in memory begins: all blocks before it are stored, and full. */
  get memoryStart(): number {
    return this.#blocks[0]!.start;
  }

  /** The block that is being written. */
  get open(): LogBlock {
    return this.#blocks.at(-1)!;
  }

  /** Why there will be no more; undefined while there may be. */
  get end(): LogEndEvent['reason'] | undefined {
    return this.#end;
  }

  /** Takes what fits into the open block, and says how much that was. */
  append(bytes: Uint8Array, time: number): number {
    const taken = this.open.append(bytes, time);
    this.changed.notify();
    return taken;
  }

  mark(mark: LogMark): void {
    this.marks.push(mark);
    this.changed.notify();
  }

  /** How many marks are before the byte at the offset. */
  marksBefore(offset: number): number {
    return this.marks.findLastIndex(mark => mark.offset < offset) + 1;
  }

  /** Goes on with a new block; the full one stays readable. */
  openNext(): void {
    const full = this.open;
    this.#blocks.push(new LogBlock(full.end, full.linesBefore(full.end)));
    this.#forget();
  }

  /** Everything before the offset is stored: it may be forgotten. */
  stored(offset: number): void {
    this.#storedTo = offset;
    this.#forget();
  }

  /** Nothing more will come. `finished`: all of it is stored. */
  finish(reason: LogEndEvent['reason']): void {
    this.#end = reason;
    if (reason === 'finished') this.#blocks = [this.open];
    this.changed.notify();
  }

  /** What is in memory from the offset on, as far as its block goes; undefined when it has left memory, or is not there yet. */
  stretch(offset: number): LogStretch | undefined {
    return this.#blocks.find(block => block.start <= offset && offset < block.end)?.stretch(offset);
  }

  #forget(): void {
    while (this.#blocks.length > BLOCKS_IN_MEMORY && this.#blocks[0]!.end <= this.#storedTo) this.#blocks.shift();
  }
}
