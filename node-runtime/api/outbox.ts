import type { WebSocket } from 'ws';
import type { ServerMessage } from '../../shared/socket-protocol.ts';
import { Wakeup } from '../system/wakeup.ts';

/** Nothing more is sent while this much waits for a slow client, in bytes. */
const MOST_BUFFERED = 262_144;

/** What leaves through one socket. Whoever sends waits for room, so a slow client costs one buffer and no more. */
export class Outbox {
  readonly #socket: WebSocket;
  readonly #flushed = new Wakeup();

  constructor(socket: WebSocket) {
    this.#socket = socket;
  }

  /** Sends when there is room. Rejects with the signal's reason when that comes first. */
  async send(data: string | Uint8Array, signal: AbortSignal): Promise<void> {
    while (this.#socket.bufferedAmount > MOST_BUFFERED && !signal.aborted) await this.#flushed.wait(signal);
    signal.throwIfAborted();
    // A socket that closes meanwhile says so by its own events.
    this.#socket.send(data, () => this.#flushed.notify());
  }

  say(message: ServerMessage, signal: AbortSignal): Promise<void> {
    return this.send(JSON.stringify(message), signal);
  }

  /** Sends at once if there is room, else not at all: for what is said again later anyway. */
  trySay(message: ServerMessage): void {
    if (this.#socket.bufferedAmount <= MOST_BUFFERED) this.#socket.send(JSON.stringify(message), () => undefined);
  }
}
