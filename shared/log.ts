import type { Fence } from './ids.ts';

/**
 * The one address space of logs: a byte is named by its task, the fence of the attempt that printed it and its offset
 * in that attempt's output. Offsets count the bytes that the steps wrote, nothing else: what Simple CI itself has to say
 * (a step starts, a step ended) are marks beside the bytes, so that the raw log is exactly what was printed.
 */
export type LogEvent = LogAttemptEvent | LogBytesEvent | LogMarkEvent | LogEndEvent;

/** What follows belongs to this attempt and starts at `offset`. */
export interface LogAttemptEvent {
  readonly kind: 'attempt';
  readonly fence: Fence;
  readonly attempt: number;
  readonly node: string;
  readonly offset: number;
}

export interface LogBytesEvent {
  readonly kind: 'bytes';
  /** Of the first byte. The next event of the same attempt starts where this one ends: no gap, no repeat. */
  readonly offset: number;
  /** Milliseconds since 1970 at which the node read the first of the bytes. */
  readonly time: number;
  readonly bytes: Uint8Array;
}

export interface LogMarkEvent {
  readonly kind: 'mark';
  readonly mark: LogMark;
}

/** The attempt will print no more. `lost`: its node vanished, or gave it up without an object store: what was not stored is gone. */
export interface LogEndEvent {
  readonly kind: 'end';
  readonly offset: number;
  readonly reason: 'finished' | 'lost';
}

/** Something that happened between the bytes before `offset` and those from it on. */
export interface LogMark {
  readonly offset: number;
  readonly time: number;
  readonly kind: 'step-started' | 'step-finished' | 'note';
  /** Which step, counted from 0; absent on notes that belong to none. */
  readonly step?: number;
  /** The step's name, its outcome, or the note. */
  readonly text: string;
}

/** Where a reader is: resuming from here gives the rest, byte for byte. */
export interface LogPosition {
  readonly fence: Fence;
  readonly offset: number;
}
