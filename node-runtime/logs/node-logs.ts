import type { LogMark } from '../../shared/log.ts';
import type { ObjectStore } from '../objects/object-store.ts';
import type { Chance } from '../system/chance.ts';
import { type Clock, deadline } from '../system/clock.ts';
import { Wakeup } from '../system/wakeup.ts';
import { BlockCache } from './block-cache.ts';
import { LiveLog } from './live-log.ts';
import { LogLag } from './log-lag.ts';
import { LogPieces } from './log-pieces.ts';
import { type AttemptLogEvent, LiveLogReader, StoredLogReader } from './log-reader.ts';
import { LogUploads } from './log-uploads.ts';
import { PieceLogWriter } from './log-writer.ts';
import type { AttemptName, LogKeys, LogOutline, Logs, LogWriter, ReadRequest } from './logs.ts';
import { Mask } from './mask.ts';

export interface LogsOptions {
  readonly objects: ObjectStore;
  readonly objectKeys: LogKeys;
  readonly clock: Clock;
  readonly chance: Chance;
  /** How long a piece may take to be stored before the log counts as failed, in milliseconds. Default: 60 s. */
  readonly storeTimeoutMs?: number;
  /** How long what is printed may wait to be stored, in milliseconds: with the time to store it, that is what a killed node loses. Default: 500. */
  readonly flushMs?: number;
  /** Told of each piece on its way. Default: nobody asks. */
  readonly lag?: LogLag;
}

const STORE_TIMEOUT_MS = 60_000;
/** With the time to store it, at most 1 s is ever lost. */
const FLUSH_MS = 500;
/** How often the store is asked for new pieces of an attempt that another node runs. */
const POLL_MS = 1000;

export function createLogs(options: LogsOptions): Logs {
  return new NodeLogs(options);
}

class NodeLogs implements Logs {
  readonly #options: LogsOptions;
  /** Of the attempts that this node runs, by task and fence. */
  readonly #live = new Map<string, LiveLog>();
  readonly #opened = new Wakeup();
  readonly #blocks = new BlockCache();

  constructor(options: LogsOptions) {
    this.#options = options;
  }

  open(attempt: AttemptName, mask: readonly string[]): LogWriter {
    const name = nameOf(attempt);
    if (this.#live.has(name)) throw new Error(`The log of ${name} is open already`);
    const live = new LiveLog();
    this.#live.set(name, live);
    this.#opened.notify();
    const closed = () => void this.#live.delete(name);
    const { clock, flushMs = FLUSH_MS, lag = new LogLag(clock) } = this.#options;
    const uploads = new LogUploads(this.#pieces(attempt), clock, lag);
    return new PieceLogWriter({ live, uploads, mask: new Mask(mask), clock, flushMs, closed });
  }

  async *read(request: ReadRequest, signal: AbortSignal): AsyncGenerator<AttemptLogEvent> {
    const from = request.tail === undefined ? request.from : await this.#tailStart(request, request.tail, signal);
    const pieces = this.#pieces(request);
    const { room } = request;
    const reader = new StoredLogReader(pieces, from, room);
    for (;;) {
      const live = this.#live.get(nameOf(request));
      if (live !== undefined)
        return yield* new LiveLogReader(live, pieces, reader.at, room).read(request.follow, signal);
      const over = await request.isOver?.();
      const isWhole = yield* reader.readOn(signal);
      if (isWhole) return yield { kind: 'end', offset: reader.at, reason: 'finished' };
      if (over) return yield { kind: 'end', offset: reader.at, reason: over };
      if (!request.follow) return;
      await this.#pollPause(signal);
    }
  }

  async length(attempt: AttemptName, signal: AbortSignal): Promise<number> {
    const live = this.#live.get(nameOf(attempt));
    if (live !== undefined) return live.bytes;
    const pieces = this.#pieces(attempt);
    const manifest = await pieces.manifest(signal);
    if (manifest !== undefined) return manifest.bytes;
    return (await pieces.list(0, signal)).reduce((most, piece) => Math.max(most, piece.end), 0);
  }

  async outline(attempt: AttemptName, signal: AbortSignal): Promise<LogOutline | undefined> {
    const live = this.#live.get(nameOf(attempt));
    if (live !== undefined) return { bytes: live.bytes, marks: live.marks };
    const manifest = await this.#pieces(attempt).manifest(signal);
    return manifest && { bytes: manifest.bytes, marks: manifest.marks as LogMark[] };
  }

  async #tailStart(request: ReadRequest, tail: number, signal: AbortSignal): Promise<number> {
    return Math.max(0, (await this.length(request, signal)) - tail);
  }

  /** Until it is time to look again, not for all followers at the same moment; or until this node opens a log: it may be that one. */
  async #pollPause(signal: AbortSignal): Promise<void> {
    const { clock, chance } = this.#options;
    using limit = deadline(clock, POLL_MS * (0.75 + chance.random() / 2), signal);
    await this.#opened.wait(limit.signal);
    signal.throwIfAborted();
  }

  #pieces(attempt: AttemptName): LogPieces {
    const { objects, objectKeys, storeTimeoutMs = STORE_TIMEOUT_MS } = this.#options;
    return new LogPieces(objects, objectKeys, attempt, { timeoutMs: storeTimeoutMs, blocks: this.#blocks });
  }
}

function nameOf({ task, fence }: AttemptName): string {
  return `${task}/${fence}`;
}
