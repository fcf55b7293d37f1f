import { createWriteStream, type WriteStream } from 'node:fs';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

/** One execution of a task, as the task's own process told it. Times are `performance.now()` of the harness. */
export interface Execution {
  readonly task: string;
  readonly attempt: number;
  readonly fence: number;
  /** As the process knows itself, in its own namespace. */
  readonly pid: number;
  readonly startedAt: number;
  /** When it said that it had printed which line of its log. */
  readonly beats: { readonly at: number; readonly line: number }[];
  /** It came to the end of its script. */
  saidEnd: boolean;
  /** When the kernel closed its connection: no process of it was left. */
  goneAt?: number;
}

/**
 * Whom tasks tell what they do: each holds a connection from its first line on, says its fence, and after each line that it has
 * printed, which one. So what ran when does not come from the product, all of it is timed by one clock, and a process that is
 * killed is noticed because the kernel closes its connection. What is heard is written to a file as well.
 */
export class Witness implements AsyncDisposable {
  readonly executions: Execution[] = [];
  readonly #server: Server;
  readonly #local: Server;
  readonly #file: WriteStream;
  readonly #sockets = new Set<Socket>();

  private constructor(file: string) {
    this.#file = createWriteStream(file);
    this.#server = createServer(socket => this.#listen(socket));
    this.#local = createServer(socket => this.#listen(socket));
  }

  /** @param socketPath where it is reached too, past every network */
  static async start(file: string, socketPath: string): Promise<Witness> {
    const witness = new Witness(file);
    await new Promise<void>((resolve, reject) => {
      witness.#server.once('error', reject).listen(0, '127.0.0.1', resolve);
    });
    await new Promise<void>((resolve, reject) => {
      witness.#local.once('error', reject).listen(socketPath, resolve);
    });
    return witness;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    for (const server of [this.#server, this.#local]) await new Promise(resolve => server.close(resolve));
    await new Promise<void>(resolve => this.#file.end(resolve));
  }

  #listen(socket: Socket): void {
    this.#sockets.add(socket);
    let execution: Execution | undefined;
    createInterface({ input: socket }).on('line', line => {
      const at = performance.now();
      this.#write({ at, task: execution?.task, fence: execution?.fence, line });
      const [word, ...rest] = line.split(' ');
      if (word === 'start') execution = this.#start(rest, at);
      if (word === 'line') execution?.beats.push({ at, line: Number(rest[0]) });
      if (word === 'end' && execution) execution.saidEnd = true;
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#sockets.delete(socket);
      if (!execution) return;
      execution.goneAt = performance.now();
      this.#write({ at: execution.goneAt, task: execution.task, fence: execution.fence, line: 'gone' });
    });
  }

  #start([task = '', attempt, fence, pid]: string[], startedAt: number): Execution {
    const numbers = { attempt: Number(attempt), fence: Number(fence), pid: Number(pid) };
    const execution = { task, ...numbers, startedAt, beats: [], saidEnd: false };
    this.executions.push(execution);
    return execution;
  }

  #write(record: object): void {
    this.#file.write(`${JSON.stringify(record)}\n`);
  }
}
