import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import {
  decodeLogFrame,
  MAX_LOG_CREDIT,
  type ServerMessage,
  SOCKET_PATH,
  SOCKET_PROTOCOL,
} from '../../shared/socket-protocol.ts';

/**
 * How a follower behaves. `reads`: as a client of ours. `gives no credit`: reads what it may have to begin with and then does not
 * say that it has. `stops reading`: asks for the log four times, takes on all the credit there is, and never reads its socket.
 */
export type Manner = 'reads' | 'gives no credit' | 'stops reading';

/** What a credit is given back in, in bytes. */
const CREDIT_BYTES = 262_144;
const GREEDY_SUBSCRIPTIONS = 4;
/** So many connections are opened at once. */
const OPENING = 50;
const OPENING_TRIES = 60;

/** One of many who follow a log, with every byte held against what the task prints. */
export class Follower {
  readonly manner: Manner;
  readonly socket: WebSocket;
  /** Resolves when it has the whole log and was told so. Rejects at the first byte that is wrong, or when the socket is closed. */
  readonly whole: Promise<void>;
  #at = 0;
  #owed = 0;
  #isGenerous: boolean;
  #subscription = 0;
  #fence: number | undefined;

  constructor(url: string, token: string, task: string, expected: Buffer, manner: Manner) {
    this.manner = manner;
    this.#isGenerous = manner === 'reads';
    this.socket = new WebSocket(`${url.replace('http', 'ws')}${SOCKET_PATH}`, [SOCKET_PROTOCOL], {
      headers: { authorization: `Bearer ${token}` },
      perMessageDeflate: false,
    });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    promise.catch(() => undefined);
    this.whole = promise;
    this.socket.on('error', reject);
    this.socket.on('close', code => reject(new Error(`closed with ${code} at byte ${this.#at}`)));
    this.socket.on('open', () => this.#subscribe(task));
    this.socket.on('message', (data, isBinary) => {
      try {
        if (isBinary) this.#take(data as Buffer, expected);
        else if (this.#isEnd(JSON.parse(String(data)) as ServerMessage, task, expected)) resolve();
      } catch (error) {
        reject(error);
      }
    });
  }

  /** How much of the log it has. */
  get at(): number {
    return this.#at;
  }

  /** Gives back all that it has had, from now on too. */
  becomeGenerous(): void {
    this.#isGenerous = true;
    this.#giveBack();
  }

  #subscribe(task: string): void {
    const isGreedy = this.manner === 'stops reading';
    if (isGreedy) this.socket.pause();
    for (let id = 0; id < (isGreedy ? GREEDY_SUBSCRIPTIONS : 1); id++) {
      this.#say({ type: 'subscribe', id, topic: 'log', task });
      if (isGreedy) this.#say({ type: 'credit', id, bytes: MAX_LOG_CREDIT });
    }
  }

  #take(data: Buffer, expected: Buffer): void {
    const { offset, bytes } = decodeLogFrame(data)!;
    if (offset !== this.#at) throw new Error(`byte ${offset} came where byte ${this.#at} was due`);
    if (!expected.subarray(offset, offset + bytes.length).equals(bytes))
      throw new Error(`other bytes from ${offset} on`);
    this.#at += bytes.length;
    this.#owed += bytes.length;
    if (this.#owed >= CREDIT_BYTES) this.#giveBack();
  }

  #giveBack(): void {
    if (!this.#isGenerous || this.#owed === 0) return;
    this.#say({ type: 'credit', id: this.#subscription, bytes: this.#owed });
    this.#owed = 0;
  }

  #isEnd(message: ServerMessage, task: string, expected: Buffer): boolean {
    if (message.type === 'attempt') this.#fence = message.fence;
    if (message.type === 'error' && message.code === 'unavailable') this.#resume(task);
    else if (message.type === 'error') throw new Error(message.message);
    if (message.type !== 'attempt-end') return false;
    if (this.#at !== expected.length) throw new Error(`ended with ${this.#at} of ${expected.length} bytes`);
    return true;
  }

  /** As a client of ours does when the node cannot ask etcd just now, on a busy machine: from the same byte on. */
  #resume(task: string): void {
    this.#owed = 0;
    const id = ++this.#subscription;
    const from = this.#fence === undefined ? {} : { from: { fence: this.#fence, offset: this.#at } };
    setTimeout(() => this.#say({ type: 'subscribe', id, topic: 'log', task, ...from }), 1000);
  }

  #say(message: object): void {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }
}

/** How many of each there are. */
export type Crowds = Readonly<Record<Manner, number>>;

export interface LogCrowd extends Disposable {
  readonly followers: readonly Follower[];
  of(manner: Manner): readonly Follower[];
}

/** Many followers of one log, all connected. */
export async function gatherCrowd(
  url: string,
  token: string,
  task: string,
  expected: Buffer,
  counts: Crowds,
): Promise<LogCrowd> {
  const manners = (Object.keys(counts) as Manner[]).flatMap(manner => Array<Manner>(counts[manner]).fill(manner));
  const followers: Follower[] = [];
  for (let at = 0; at < manners.length; at += OPENING) {
    const batch = manners.slice(at, at + OPENING);
    followers.push(...(await Promise.all(batch.map(manner => joined(url, token, task, expected, manner)))));
  }
  return {
    followers,
    of: manner => followers.filter(follower => follower.manner === manner),
    [Symbol.dispose]: () => {
      for (const { socket } of followers) socket.terminate();
    },
  };
}

/** As a client of ours does, it tries again when the node cannot look at its token just now. */
async function joined(url: string, token: string, task: string, expected: Buffer, manner: Manner): Promise<Follower> {
  for (let left = OPENING_TRIES; ; left--) {
    const follower = new Follower(url, token, task, expected, manner);
    try {
      await once(follower.socket, 'open');
      return follower;
    } catch (error) {
      if (left === 0) throw error;
      await sleep(1000);
    }
  }
}

/** Prints so many lines of 16 bytes, a 64 KiB at a time with a pause between; and what it prints. */
export function slowLines(lines: number, pauseSeconds: number): { readonly command: string; readonly output: Buffer } {
  const step = 4096;
  const command = `for ((i = 0; i < ${lines}; i += ${step})); do seq -f %015.0f $i $((i + ${step - 1})); sleep ${pauseSeconds}; done`;
  const output = Buffer.alloc(lines * 16);
  for (let line = 0; line < lines; line++) output.write(`${String(line).padStart(15, '0')}\n`, line * 16);
  return { command, output };
}

/**
 * The most that a node's memory may grow by, in bytes, whatever the followers do and however long the log is: for each its
 * connection, the outbox of its socket and a part of the log for each subscription; the blocks of the log that somebody looks at,
 * which they share as long as they are at about the same place; and what V8 has not collected yet.
 */
export function crowdBound({ reads, 'gives no credit': poor, 'stops reading': greedy }: Crowds): number {
  const [connection, outbox, part, shared] = [96 * 1024, 524_288, 262_144, 200e6];
  const followers = reads + poor + greedy;
  const subscriptions = reads + poor + greedy * GREEDY_SUBSCRIPTIONS;
  return shared + followers * (connection + outbox) + subscriptions * part;
}
