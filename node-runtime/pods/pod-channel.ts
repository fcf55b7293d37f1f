import type { TLSSocket } from 'node:tls';
import { CiError } from '../../shared/errors.ts';
import type { Renewal } from '../cluster/session.ts';
import type { SandboxSystem } from '../runner/sandbox.ts';
import { encodeFrame, FrameReader } from '../runner/supervisor/frames.ts';
import type { Clock } from '../system/clock.ts';
import { Overdue, sleepAwake } from './overdue.ts';
import { type Answer, type Order, Report } from './pod-messages.ts';

type Asked = Extract<Order, { id: number }>;
/** An order before it has its id. */
type Question = Asked extends infer Each ? (Each extends unknown ? Omit<Each, 'id'> : never) : never;

/** An attendant asks for the last renewal each second: one that is not heard for so long is gone, in milliseconds. */
const SILENCE_LIMIT_MS = 60_000;
const LOOK_EVERY_MS = 5000;
const AT_ONCE = AbortSignal.abort();
/** More than the environment of any image. */
const LARGEST_REPORT_BYTES = 1024 * 1024;

export interface PodChannelParts {
  readonly socket: TLSSocket;
  readonly clock: Clock;
  readonly renewal: () => Renewal | undefined;
}

/** The node's end of its line to one container of a pod: orders with their answers, until it closes. */
export class PodChannel {
  readonly #parts: PodChannelParts;
  readonly #waiting = new Map<number, PromiseWithResolvers<Answer>>();
  readonly #closed = new AbortController();
  readonly #system = Promise.withResolvers<SandboxSystem>();
  #isHungUp = false;
  #lastId = 0;
  #silentMs = 0;

  constructor(parts: PodChannelParts) {
    const { socket } = parts;
    this.#parts = parts;
    this.#system.promise.catch(() => undefined);
    const reader = new FrameReader(LARGEST_REPORT_BYTES);
    socket.on('data', (bytes: Buffer) => {
      this.#silentMs = 0;
      try {
        for (const message of reader.read(bytes)) this.#take(Report.parse(message));
      } catch {
        // It does not speak our language: whatever it is, it is no attendant.
        socket.destroy();
      }
    });
    socket.on('end', () => socket.destroy());
    socket.on('close', () => this.#end());
    if (socket.destroyed) this.#end();
    socket.resume();
    void this.#watchSilence();
  }

  /** Fires when nothing more will be answered. */
  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  /** What the image of the task has. Only the second container tells it. */
  get system(): Promise<SandboxSystem> {
    return this.#system.promise;
  }

  /**
   * Rejects with `unavailable` when the pod is gone or cannot do it, with `invalid` for what the task got wrong. One that keeps
   * its answer for long after it was due is hung up on: a task may have tricked it.
   */
  async ask(question: Question, due = AT_ONCE, patienceMs?: () => number): Promise<Answer> {
    if (this.#closed.signal.aborted) throw gone();
    using overdue = new Overdue(this.#parts.clock, due, patienceMs);
    overdue.signal.addEventListener('abort', () => this.#hangUp(), { once: true });
    const id = ++this.#lastId;
    const answer = Promise.withResolvers<Answer>();
    this.#waiting.set(id, answer);
    this.tell({ ...question, id } as Asked);
    const report = await answer.promise;
    if (report.kind === 'failed') throw new CiError(report.code, report.message);
    return report;
  }

  tell(order: Order): void {
    if (!this.#closed.signal.aborted) this.#parts.socket.write(encodeFrame(order));
  }

  close(): void {
    this.#parts.socket.destroy();
  }

  /** Whether it was closed as an answer was overdue: then the pod is there, and that says why. */
  get isHungUp(): boolean {
    return this.#isHungUp;
  }

  #hangUp(): void {
    this.#isHungUp = true;
    this.close();
  }

  #take(report: Report): void {
    switch (report.kind) {
      case 'system':
        this.#system.resolve({ env: report.env, hasBash: report.hasBash });
        break;
      case 'renewal-wanted':
        this.#tellRenewal(report.question);
        break;
      default: {
        const answer = this.#waiting.get(report.id);
        this.#waiting.delete(report.id);
        answer?.resolve(report);
      }
    }
  }

  /** Clocks of two machines cannot be compared, so it is told the age; by that clock of ours which gives the greater one. */
  #tellRenewal(question: number): void {
    const { socket, clock, renewal } = this.#parts;
    const last = renewal();
    // One that asks and does not read gets no more answers: they would pile up here.
    if (!last || socket.writableNeedDrain) return;
    const { lease, sent } = last;
    const ageMs = Math.max(0, clock.monotonic() - sent.monotonic, clock.now() - sent.wall);
    this.tell({ kind: 'renewal', question, lease, ageMs });
  }

  async #watchSilence(): Promise<void> {
    const { clock, socket } = this.#parts;
    while (!this.#closed.signal.aborted) {
      await sleepAwake(clock, LOOK_EVERY_MS, this.#closed.signal).catch(() => undefined);
      this.#silentMs += LOOK_EVERY_MS;
      if (this.#silentMs > SILENCE_LIMIT_MS) socket.destroy();
    }
  }

  #end(): void {
    if (this.#closed.signal.aborted) return;
    this.#closed.abort(gone());
    this.#system.reject(gone());
    for (const answer of this.#waiting.values()) answer.reject(gone());
    this.#waiting.clear();
  }
}

function gone(): CiError {
  return new CiError('unavailable', 'Cannot go on with the task as its pod is gone');
}
