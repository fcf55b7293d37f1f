import { orAborted } from '../objects/until-aborted.ts';

/**
 * How much of what pods hand over may lie on this node at once, until it is stored: where its volume is full, Kubernetes takes the node
 * away with all that it runs, and any task could bring that about. One half is shared out among the slots, and there at any
 * time; the other is one attempt's at a time, and others wait for it.
 */
export class HandOverRoom {
  readonly shareBytes: number;
  /** The most that one attempt may hand over. */
  readonly mostBytes: number;
  /** Resolves when the other half is free for whoever comes next. */
  #free: Promise<void> = Promise.resolve();

  constructor(bytes: number, slots: number) {
    this.shareBytes = Math.floor(bytes / 2 / Math.max(1, slots));
    this.mostBytes = this.shareBytes + Math.floor(bytes / 2);
  }

  /** Waits for its turn. Resolves with what ends that. */
  async takeTurn(signal: AbortSignal): Promise<() => void> {
    const before = this.#free;
    const turn = Promise.withResolvers<void>();
    this.#free = before.then(() => turn.promise);
    try {
      await orAborted(before, signal);
      return turn.resolve;
    } catch (error) {
      turn.resolve();
      throw error;
    }
  }
}

/** What one attempt has of it. */
export class HandOver implements Disposable {
  readonly #room: HandOverRoom;
  #endTurn: (() => void) | undefined;

  constructor(room: HandOverRoom) {
    this.#room = room;
  }

  /** To be called before there are so many bytes of it. */
  async growTo(bytes: number, signal: AbortSignal): Promise<void> {
    if (bytes > this.#room.shareBytes) this.#endTurn ??= await this.#room.takeTurn(signal);
  }

  [Symbol.dispose](): void {
    this.#endTurn?.();
  }
}
