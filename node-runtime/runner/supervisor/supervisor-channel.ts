import type { Duplex } from 'node:stream';
import { CiError } from '../../../shared/errors.ts';
import { encodeFrame, FrameReader } from './frames.ts';
import type { Reply, Request } from './messages.ts';

type Asked = Extract<Request, { id: number }>;
/** A request before it has its id. */
export type Question = Asked extends infer Each ? (Each extends unknown ? Omit<Each, 'id'> : never) : never;

/** The node's end of the channel to its supervisor: questions with their answers, until it closes. */
export class SupervisorChannel {
  readonly #stream: Duplex;
  readonly #waiting = new Map<number, PromiseWithResolvers<Reply>>();
  readonly #closed = new AbortController();
  #lastId = 0;

  constructor(stream: Duplex) {
    this.#stream = stream;
    const reader = new FrameReader();
    stream.on('data', (bytes: Buffer) => {
      try {
        for (const reply of reader.read(bytes)) this.#take(reply as Reply);
      } catch {
        stream.destroy();
      }
    });
    stream.on('error', () => stream.destroy());
    stream.on('end', () => stream.destroy());
    stream.on('close', () => this.#end());
  }

  /** Fires when nothing more will be answered. */
  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  /** Rejects with what the supervisor says when it cannot do it, and with `unavailable` when it is lost. */
  async ask(question: Question): Promise<Reply> {
    const id = ++this.#lastId;
    const answer = Promise.withResolvers<Reply>();
    if (this.#closed.signal.aborted) throw lost();
    this.#waiting.set(id, answer);
    this.tell({ ...question, id } as Asked);
    const reply = await answer.promise;
    if (reply.kind === 'failed') throw new CiError(reply.code, reply.message);
    return reply;
  }

  tell(request: Request): void {
    if (!this.#closed.signal.aborted) this.#stream.write(encodeFrame(request));
  }

  /** Tells the supervisor to kill everything and to end. */
  end(): void {
    this.#stream.end();
  }

  #take(reply: Reply): void {
    const answer = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    answer?.resolve(reply);
  }

  #end(): void {
    this.#closed.abort(lost());
    for (const answer of this.#waiting.values()) answer.reject(lost());
    this.#waiting.clear();
  }
}

function lost(): CiError {
  return new CiError('unavailable', 'Cannot go on with the task as the supervisor process was lost');
}
