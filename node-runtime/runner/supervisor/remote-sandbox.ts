import { existsSync } from 'node:fs';
import { isAbsolute, relative } from 'node:path';
import { machineSystem } from '../machine-system.ts';
import type { Command, CommandEnd, RunningCommand, Sandbox, SandboxFolders, SandboxSystem } from '../sandbox.ts';
import type { Reply } from './messages.ts';
import type { PipePool } from './pipe-pool.ts';
import { PipeReader } from './read-pipe.ts';
import { giveTree } from './sandbox-folders.ts';
import type { SupervisorChannel } from './supervisor-channel.ts';

export interface RemoteSandboxParts {
  readonly number: number;
  readonly folders: SandboxFolders;
  readonly inside: SandboxFolders;
  readonly user: number | undefined;
  readonly channel: SupervisorChannel;
  readonly pipes: PipePool;
  readonly lost: AbortSignal;
  /** To be called when all its processes are dead. */
  readonly close: () => void;
}

/** The node's side of a sandbox: it asks the supervisor, and reads the output of commands by itself. */
export class RemoteSandbox implements Sandbox {
  readonly #parts: RemoteSandboxParts;
  readonly #readers = new Set<PipeReader>();
  /** Settled when the supervisor knows of the last command: what is asked about it then comes after. */
  #asked: Promise<unknown> = Promise.resolve();
  #isBusy = false;
  #hasRun = false;
  #isDisposed = false;

  constructor(parts: RemoteSandboxParts) {
    this.#parts = parts;
  }

  get folders(): SandboxFolders {
    return this.#parts.folders;
  }

  get inside(): SandboxFolders {
    return this.#parts.inside;
  }

  async adopt(path: string): Promise<void> {
    const { user, folders } = this.#parts;
    if (this.#hasRun) throw new Error('Cannot give files to a task that has run: what lies there may be its own links');
    if (!Object.values(folders).some(folder => isWithin(folder, path)))
      throw new Error(`Cannot give files to a task as they are not in its folders: ${path}`);
    if (user !== undefined) await giveTree(path, user);
  }

  get lost(): AbortSignal {
    return this.#parts.lost;
  }

  /** The task's commands run where the node's own have. */
  async handOver(): Promise<void> {}

  system(): Promise<SandboxSystem> {
    return machineSystem();
  }

  /** They lie there already. */
  async bringBack(): Promise<void> {}

  run(command: Command): RunningCommand {
    if (this.#isBusy || this.#isDisposed) throw new Error('Cannot run two commands at a time, or after the end');
    this.#isBusy = true;
    this.#hasRun = true;
    const output = Promise.withResolvers<PipeReader | undefined>();
    this.#asked = output.promise;
    const ended = this.#run(command, output).finally(() => {
      this.#isBusy = false;
      output.resolve(undefined);
    });
    ended.catch(() => undefined);
    const { number, channel } = this.#parts;
    return {
      output: read(output.promise),
      ended,
      stop: graceMs => {
        void output.promise.then(() => channel.tell({ kind: 'stop', sandbox: number, graceMs }));
      },
    };
  }

  async freeze(): Promise<void> {
    await this.#ask('freeze');
  }

  async thaw(): Promise<void> {
    await this.#ask('thaw');
  }

  async stoodStill(since: number): Promise<number> {
    const { number, channel } = this.#parts;
    try {
      const reply = await channel.ask({ kind: 'stood-still', sandbox: number, since });
      if (reply.kind === 'stood-still') return reply.ms;
      throw misunderstood('stood-still', reply);
    } catch (error) {
      if (channel.closed.aborted) return 0;
      throw error;
    }
  }

  async kill(): Promise<void> {
    await this.#ask('kill');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    await this.#ask('close');
    for (const reader of this.#readers) reader.cut();
    this.#parts.close();
  }

  async #run(command: Command, output: PromiseWithResolvers<PipeReader | undefined>): Promise<CommandEnd> {
    const { number, channel, pipes } = this.#parts;
    const pipe = await pipes.take();
    const reader = new PipeReader(pipe);
    this.#readers.add(reader);
    try {
      const answer = channel.ask({ kind: 'run', sandbox: number, command: { ...command, pipe } });
      output.resolve(reader);
      const reply = await answer;
      if (reply.kind === 'ended') return reply.end;
      throw misunderstood('run', reply);
    } catch (error) {
      // A pipe that still has its name was never opened for writing, and would never end.
      if (existsSync(pipe)) reader.cut();
      if (channel.closed.aborted) return { kind: 'killed', signal: 'SIGKILL', byUs: false };
      throw error;
    }
  }

  /** Of a supervisor that is gone, nothing is left that this could be done to. */
  async #ask(kind: 'freeze' | 'thaw' | 'kill' | 'close'): Promise<void> {
    const { channel, number } = this.#parts;
    await this.#asked;
    try {
      await channel.ask({ kind, sandbox: number });
    } catch (error) {
      if (!channel.closed.aborted) throw error;
    }
  }
}

function misunderstood(question: string, { kind }: Reply): Error {
  return new Error(`Cannot understand the supervisor's answer to ${question}: ${kind}`);
}

async function* read(reader: Promise<PipeReader | undefined>): AsyncGenerator<Uint8Array> {
  const opened = await reader;
  if (opened) yield* opened.bytes();
}

function isWithin(folder: string, path: string): boolean {
  const rest = relative(folder, path);
  return rest === '' || (!rest.startsWith('..') && !isAbsolute(rest));
}
