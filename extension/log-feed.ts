import * as l10n from '@vscode/l10n';
import { count } from '../shared/amounts.ts';
import type { Client } from '../shared/client.ts';
import { CiError, describeError } from '../shared/errors.ts';
import type { LogEvent, LogMark } from '../shared/log.ts';
import { compileQuery, LogSearch, type LogQuery, type TextTest, textTest } from '../shared/log-model/log-search.ts';
import type { ByteRange } from '../shared/log-model/log-window.ts';
import type { ToPanel } from '../shared/log-model/panel-messages.ts';
import { BoundedWork } from './bounded-work.ts';

/** What is shown at first, in bytes. Whatever the size of a log, its end is there at once. */
const TAIL_BYTES = 524_288;
/** More than this does not wait for the page: the node is held back instead. Bytes. */
const MOST_WAITING = 1_048_576;
/** Lines found are told in portions of this. */
const HITS_TOLD_AT_ONCE = 500;
/** More lines than this nobody looks through one by one. */
const MOST_HITS = 20_000;

/**
 * Brings one log to one page: its end and what follows, the parts that somebody scrolls to, and what a search finds. One
 * batch is on its way at a time: a page that draws slowly holds back the node that sends, and nothing piles up here.
 */
export class LogFeed implements AsyncDisposable {
  readonly #client: Client;
  readonly #task: string;
  readonly #send: (message: ToPanel) => void;
  readonly #ending = new AbortController();
  #waiting: LogEvent[] = [];
  #waitingBytes = 0;
  #isOnItsWay = false;
  #room = Promise.withResolvers<void>();
  #searching: AbortController | undefined;
  #following: Promise<void> | undefined;

  /** @param client is disposed of together with the feed */
  constructor(client: Client, task: string, send: (message: ToPanel) => void) {
    this.#client = client;
    this.#task = task;
    this.#send = send;
  }

  /**
   * @param attempt which one; the newest, and those that come after it, if absent
   * @param line the offset of the line to begin at; the end if absent
   */
  start(
    { attempt, line }: { readonly attempt?: number | undefined; readonly line?: number | undefined },
    onEnd: () => void,
  ): void {
    this.#send({ type: 'restart', attempt, ...(line !== undefined && { line }) });
    this.#following = this.#follow(attempt, onEnd);
  }

  /** The page has drawn the last batch. */
  taken(): void {
    this.#isOnItsWay = false;
    this.#flush();
  }

  async read(request: number, fence: number, range: ByteRange): Promise<void> {
    const signal = this.#ending.signal;
    try {
      const events = await readRange(this.#client, this.#task, fence, range, signal);
      this.#send({ type: 'range', request, events });
    } catch (error) {
      if (!signal.aborted) this.#send({ type: 'range', request, events: [], problem: describeError(error) });
    }
  }

  /** Of a log that is still being written elsewhere there are none, and that is no reason to say so. */
  async marks(request: number, fence: number): Promise<void> {
    const params = { id: this.#task, fence };
    const { marks } = await this.#client.call('logMarks', { params }, this.#ending.signal).catch(() => ({ marks: [] }));
    this.#send({ type: 'marks', request, marks: marks as LogMark[] });
  }

  async search(request: number, fence: number, query: LogQuery): Promise<void> {
    this.stopSearch();
    const expression = compileQuery(query);
    if (typeof expression === 'string') return this.#send({ type: 'searched', request, problem: expression });
    const searching = new AbortController();
    this.#searching = searching;
    const signal = AbortSignal.any([searching.signal, this.#ending.signal]);
    try {
      const test = query.isRegExp ? boundedTest(textTest(expression)) : textTest(expression);
      const isWhole = await this.#look(request, fence, new LogSearch(test), signal);
      this.#send({
        type: 'searched',
        request,
        ...(!isWhole && { problem: l10n.t('More than {0}', count(MOST_HITS, l10n.t('line'), l10n.t('lines'))) }),
      });
    } catch (error) {
      if (!signal.aborted) this.#send({ type: 'searched', request, problem: describeError(error) });
    }
  }

  stopSearch(): void {
    this.#searching?.abort(new Error('The search was ended'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort(new Error('The log was closed'));
    this.#room.resolve();
    await this.#following;
    await this.#client[Symbol.asyncDispose]();
  }

  async #follow(attempt: number | undefined, onEnd: () => void): Promise<void> {
    const { signal } = this.#ending;
    const request = { tail: TAIL_BYTES, follow: true, ...(attempt !== undefined && { attempt }) };
    try {
      for await (const event of this.#client.log(this.#task, request, signal)) {
        this.#waiting.push(event);
        if (event.kind === 'bytes') this.#waitingBytes += event.bytes.length;
        this.#flush();
        if (this.#waitingBytes > MOST_WAITING) await this.#room.promise;
      }
      this.#send({ type: 'ended' });
    } catch (error) {
      if (!signal.aborted) this.#send({ type: 'failed', message: describeError(error) });
    }
    if (!signal.aborted) onEnd();
  }

  #flush(): void {
    if (this.#isOnItsWay || this.#waiting.length === 0) return;
    this.#isOnItsWay = true;
    this.#send({ type: 'events', events: this.#waiting });
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#room.resolve();
    this.#room = Promise.withResolvers();
  }

  /** @returns false if it was given up as there were too many */
  async #look(request: number, fence: number, search: LogSearch, signal: AbortSignal): Promise<boolean> {
    let found: number[] = [];
    let count = 0;
    const tell = (isEnd: boolean) => {
      if (found.length === 0 || (!isEnd && found.length < HITS_TOLD_AT_ONCE && count > found.length)) return;
      this.#send({ type: 'hits', request, offsets: found, searched: search.offset });
      found = [];
    };
    for await (const bytes of this.#client.rawLog(this.#task, { fence, from: 0 }, signal)) {
      const hits = search.push(bytes).map(({ offset }) => offset);
      found.push(...hits);
      count += hits.length;
      tell(false);
      if (count > MOST_HITS) {
        tell(true);
        return false;
      }
    }
    found.push(...search.end().map(({ offset }) => offset));
    tell(true);
    return true;
  }
}

/** Ends the search where the expression takes too long: everything else would wait for it. */
function boundedTest(test: TextTest): TextTest {
  const bounded = new BoundedWork();
  return texts => {
    const tested = bounded.do(() => test(texts));
    if (tested) return tested.done;
    throw new CiError('invalid', l10n.t('Gave up, as this regular expression takes too long on a line of the log'));
  };
}

/** The events of a part of an attempt's log. */
async function readRange(
  client: Client,
  task: string,
  fence: number,
  { from, to }: ByteRange,
  signal: AbortSignal,
): Promise<LogEvent[]> {
  const events: LogEvent[] = [];
  const request = { from: { fence, offset: from }, follow: false };
  for await (const event of client.log(task, request, signal)) {
    if (event.kind === 'bytes' && event.offset + event.bytes.length > to) {
      events.push({ ...event, bytes: event.bytes.subarray(0, to - event.offset) });
      break;
    }
    if (event.kind === 'mark' || event.kind === 'bytes') events.push(event);
  }
  return events;
}
