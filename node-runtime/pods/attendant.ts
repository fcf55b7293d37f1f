import type { TLSSocket } from 'node:tls';
import { CiError, describeError, isCiError } from '../../shared/errors.ts';
import { OutputPump } from '../runner/output-pump.ts';
import type { Command, RunningCommand, Sandbox, SandboxSystem, Supervisor } from '../runner/sandbox.ts';
import { encodeFrame, FrameReader } from '../runner/supervisor/frames.ts';
import { type Clock, type Moment, momentOf } from '../system/clock.ts';
import { sendFiles } from './file-stream.ts';
import { dialNode, type NodeLink } from './node-link.ts';
import type { Answer, Order, Report } from './pod-messages.ts';
import { TASK_ROOT } from './pod-places.ts';
import { receiveTree } from './tree-stream.ts';

type Asked = Extract<Order, { id: number }>;

/** How often the node is asked for the age of its lease, in milliseconds. */
const ASK_EVERY_MS = 1000;

export interface AttendantParts {
  /** The line to the node. */
  readonly control: TLSSocket;
  readonly link: NodeLink;
  readonly supervisor: Supervisor;
  readonly clock: Clock;
}

/**
 * Does in a pod what its node says: a sandbox at the other end of a line. The rules by which a task is frozen and killed when its
 * node is not heard of are those of the supervisor here.
 */
export class Attendant {
  readonly #parts: AttendantParts;
  /** Fires when there is nothing more to do. */
  readonly #over = new AbortController();
  #isFinished = false;
  #sandbox: Sandbox | undefined;
  #running: RunningCommand | undefined;
  /** When the questions for the age of the lease were asked that have no answer yet. */
  readonly #asked = new Map<number, Moment>();

  constructor(parts: AttendantParts) {
    this.#parts = parts;
  }

  tellSystem({ env, hasBash }: SandboxSystem): void {
    this.#tell({ kind: 'system', env, hasBash });
  }

  /** Works until the node is gone, the supervisor is lost, `stop` fires or it is told to finish; tells whether it was the last. */
  async run(stop: AbortSignal): Promise<boolean> {
    const { control, supervisor } = this.#parts;
    const over = () => this.#over.abort();
    for (const signal of [stop, supervisor.lost]) signal.addEventListener('abort', over, { once: true });
    if (stop.aborted || control.destroyed) over();
    this.#listen();
    await this.#askForRenewals();
    control.end();
    await this.#sandbox?.[Symbol.asyncDispose]();
    control.destroy();
    return this.#isFinished;
  }

  #listen(): void {
    const { control } = this.#parts;
    const reader = new FrameReader();
    control.on('data', (bytes: Buffer) => {
      try {
        for (const order of reader.read(bytes)) this.#take(order as Order);
      } catch {
        control.destroy();
      }
    });
    control.on('end', () => this.#over.abort());
    control.on('close', () => this.#over.abort());
    control.resume();
  }

  #take(order: Order): void {
    switch (order.kind) {
      case 'renewal':
        this.#noteRenewal(order);
        break;
      case 'stop':
        this.#running?.stop(order.graceMs);
        break;
      case 'finish':
        this.#isFinished = true;
        this.#over.abort();
        break;
      default:
        this.#answer(order).then(
          answer => this.#tell(answer),
          (error: unknown) => this.#tell(failure(order.id, error)),
        );
    }
  }

  async #answer(order: Asked): Promise<Answer> {
    const { id } = order;
    switch (order.kind) {
      case 'open':
        this.#sandbox = await this.#parts.supervisor.open({ ...order.attempt, folder: TASK_ROOT });
        break;
      case 'put':
        await receiveTree(TASK_ROOT, await this.#stream(order.stream), this.#over.signal);
        break;
      case 'run':
        return this.#run(id, order.command, order.stream);
      case 'freeze':
      case 'thaw':
      case 'kill':
        await this.#opened()[order.kind]();
        break;
      case 'stood-still': {
        const ms = await this.#opened().stoodStill(this.#parts.clock.monotonic() - order.lastMs);
        return { kind: 'stood-still', id, ms };
      }
      case 'bring-back':
        await this.#bringBack(order.patterns, order.stream);
        break;
    }
    return { kind: 'done', id };
  }

  /** Tells how much of the output was sent when the command had ended: what it has left running may print more. */
  async #run(id: number, command: Command, stream: string): Promise<Answer> {
    const { clock, control } = this.#parts;
    const running = this.#opened().run(command);
    this.#running = running;
    const socket = this.#stream(stream);
    let printed = 0;
    const lost = (error: unknown) => {
      // A log with a hole is none.
      control.destroy();
      throw error;
    };
    const pump = new OutputPump(clock, running.output, async bytes => {
      // What is read next comes into the same buffer.
      await send(await socket, Buffer.from(bytes)).catch(lost);
      printed += bytes.length;
    });
    pump.done.then(async () => (await socket).end()).catch(() => control.destroy());
    const end = await running.ended;
    await pump.drained();
    return { kind: 'ended', id, end, printed };
  }

  async #bringBack(patterns: readonly string[], stream: string): Promise<void> {
    const socket = await this.#stream(stream);
    try {
      await sendFiles(this.#opened().folders.workspace, patterns, socket, this.#over.signal);
    } finally {
      socket.end();
    }
  }

  #stream(id: string): Promise<TLSSocket> {
    return dialNode(this.#parts.link, { kind: 'stream', id });
  }

  #opened(): Sandbox {
    if (this.#sandbox) return this.#sandbox;
    throw new CiError('unavailable', 'Cannot do it as no sandbox is open');
  }

  async #askForRenewals(): Promise<void> {
    const { clock } = this.#parts;
    for (let number = 1; !this.#over.signal.aborted; number++) {
      this.#asked.set(number, momentOf(clock));
      this.#tell({ kind: 'renewal-wanted', question: number });
      await clock.sleep(ASK_EVERY_MS, this.#over.signal).catch(() => undefined);
    }
  }

  /**
   * Clocks of two machines cannot be compared. An age that was told after we had asked was not smaller when we asked, however
   * long question and answer have travelled: so the renewal is taken for as old as it can be.
   */
  #noteRenewal({ question, lease, ageMs }: Extract<Order, { kind: 'renewal' }>): void {
    const asked = this.#asked.get(question);
    if (!asked) return;
    for (const number of this.#asked.keys()) if (number <= question) this.#asked.delete(number);
    const { monotonic, wall } = asked;
    this.#parts.supervisor.renewed({ lease, sent: { monotonic: monotonic - ageMs, wall: wall - ageMs } });
  }

  #tell(report: Report): void {
    const { control } = this.#parts;
    if (!control.destroyed && control.writable) control.write(encodeFrame(report));
  }
}

function failure(id: number, error: unknown): Answer {
  const code = isCiError(error, 'invalid') ? 'invalid' : 'unavailable';
  return { kind: 'failed', id, code, message: describeError(error).slice(0, 10_000) };
}

function send(socket: TLSSocket, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => socket.write(bytes, error => (error ? reject(error) : resolve())));
}
