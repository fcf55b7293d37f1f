import { mkdir } from 'node:fs/promises';
import { dirname, relative } from 'node:path';
import { CiError } from '../../shared/errors.ts';
import type { TLSSocket } from 'node:tls';
import { orAborted } from '../objects/until-aborted.ts';
import type {
  Command,
  CommandEnd,
  RunningCommand,
  Sandbox,
  SandboxedAttempt,
  SandboxFolders,
  SandboxSystem,
} from '../runner/sandbox.ts';
import { removeTree } from '../runner/supervisor/sandbox-folders.ts';
import { type Clock, neverAborted } from '../system/clock.ts';
import { isNoSpace, noSpace } from '../system/no-space.ts';
import { receiveFiles } from './file-stream.ts';
import type { HandOver } from './hand-over-room.ts';
import { END_OVERDUE_MS, Overdue, OVERDUE_MS } from './overdue.ts';
import type { PodChannel } from './pod-channel.ts';
import type { Visit } from './pod-door.ts';
import type { PodStay } from './pod-stay.ts';
import { StreamReader } from './stream-reader.ts';
import { sendTree } from './tree-stream.ts';

export interface PodSandboxParts {
  readonly stay: PodStay;
  readonly visit: Visit;
  readonly attempt: SandboxedAttempt;
  /** Fires when the attempt is to end: then nothing of the task goes on, and little is waited for. */
  readonly stop: AbortSignal;
  /** On this machine, for what goes into the pod and what comes out of it; in one folder, which is removed at the end. */
  readonly folders: SandboxFolders;
  readonly inside: SandboxFolders;
  /** How much may come out of it. */
  readonly mostBytes: number;
  /** Room for it. Absent: there is enough. */
  readonly handOver?: HandOver;
  readonly clock: Clock;
}

/** The node's side of a sandbox that is a pod of its own. */
export class PodSandbox implements Sandbox {
  readonly #parts: PodSandboxParts;
  readonly #sockets = new Set<TLSSocket>();
  /** Outputs that have not been told to come to their end. */
  readonly #printing = new Set<StreamReader>();
  #isDisposed = false;

  constructor(parts: PodSandboxParts) {
    this.#parts = parts;
    // Of a pod that hangs, nobody would end them.
    parts.stay.lost.addEventListener('abort', () => this.#closeStreams(), { once: true });
  }

  get folders(): SandboxFolders {
    return this.#parts.folders;
  }

  get inside(): SandboxFolders {
    return this.#parts.inside;
  }

  get lost(): AbortSignal {
    return this.#parts.stay.lost;
  }

  get #channel(): PodChannel {
    const { channel } = this.#parts.stay;
    if (channel) return channel;
    throw new CiError('unavailable', 'Cannot reach the pod of the task as it is not there');
  }

  /** Tells the container that is there now which attempt it works for. */
  async begin(): Promise<void> {
    const { task, fence, lease } = this.#parts.attempt;
    await this.#channel.ask({ kind: 'open', attempt: { task, fence, lease } });
  }

  /** Moves it into the pod: nothing of it is left here. */
  async adopt(path: string): Promise<void> {
    const root = dirname(this.folders.workspace);
    const { id, socket } = this.#stream();
    const { closed } = this.#channel;
    const carry = async () => sendTree(root, relative(root, path), await socket, closed);
    await firstFailure([this.#channel.ask({ kind: 'put', stream: id }, neverAborted), carry()]);
    await removeTree(path);
    if (Object.values(this.folders).includes(path)) await mkdir(path, { mode: 0o700 });
  }

  /** The container of the task takes the place of ours. Its image may have to be fetched first. */
  async handOver(signal: AbortSignal): Promise<void> {
    await this.#parts.stay.enter('task', signal);
    await this.begin();
  }

  async system(): Promise<SandboxSystem> {
    const channel = this.#channel;
    using overdue = new Overdue(this.#parts.clock, AbortSignal.abort());
    overdue.signal.addEventListener('abort', () => channel.close(), { once: true });
    return await channel.system;
  }

  async bringBack(patterns: readonly string[], signal: AbortSignal): Promise<void> {
    if (patterns.length === 0) return;
    const { id, socket } = this.#stream();
    const stop = () => void socket.then(it => it.destroy());
    signal.addEventListener('abort', stop, { once: true });
    const { mostBytes, handOver } = this.#parts;
    const either = AbortSignal.any([signal, this.lost]);
    const grow = async (bytes: number) => handOver?.growTo(bytes, either);
    const { workspace } = this.folders;
    let full: CiError | undefined;
    const carry = async () => {
      try {
        await receiveFiles(await socket, workspace, mostBytes, { grow });
      } catch (error) {
        if (isNoSpace(error)) full = noSpace('keep the artifacts', workspace, error);
        throw error;
      }
    };
    try {
      await firstFailure([
        this.#channel.ask({ kind: 'bring-back', stream: id, patterns }, signal),
        carry().catch(this.#cut(socket)),
      ]);
    } catch (error) {
      signal.throwIfAborted();
      throw full ?? error;
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  run(command: Command): RunningCommand {
    const channel = this.#channel;
    const { id, socket } = this.#stream();
    const reader = new StreamReader(this.#parts.clock, socket, channel.closed);
    this.#printing.add(reader);
    const stopped = new AbortController();
    let grace = 0;
    const patienceMs = () => (this.#parts.stop.aborted ? grace + END_OVERDUE_MS : OVERDUE_MS);
    const ended = this.#run(channel, command, id, reader, { signal: stopped.signal, patienceMs });
    ended.catch(() => undefined);
    const stop = (graceMs: number) => {
      grace = graceMs;
      channel.tell({ kind: 'stop', graceMs });
      stopped.abort();
    };
    return { output: reader.bytes(), ended, stop };
  }

  async freeze(): Promise<void> {
    await this.#ask('freeze');
  }

  async thaw(): Promise<void> {
    await this.#ask('thaw');
  }

  async stoodStill(since: number): Promise<number> {
    const { channel } = this.#parts.stay;
    if (!channel) return 0;
    try {
      const lastMs = this.#parts.clock.monotonic() - since;
      const answer = await channel.ask({ kind: 'stood-still', lastMs });
      return answer.kind === 'stood-still' ? answer.ms : 0;
    } catch (error) {
      if (channel.closed.aborted) return 0;
      throw error;
    }
  }

  async kill(): Promise<void> {
    await this.#ask('kill', this.#parts.stop.aborted ? END_OVERDUE_MS : OVERDUE_MS);
    for (const reader of this.#printing) void reader.finish();
    this.#printing.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    // Let go of at last, whatever fails: others wait for it, and would for ever.
    using _ = this.#parts.handOver;
    await this.#parts.stay[Symbol.asyncDispose]();
    this.#closeStreams();
    await removeTree(dirname(this.folders.workspace));
  }

  /** What it has printed before it ended is read before its end is told, unless nobody reads. */
  async #run(
    channel: PodChannel,
    command: Command,
    stream: string,
    reader: StreamReader,
    stopped: { readonly signal: AbortSignal; readonly patienceMs: () => number },
  ): Promise<CommandEnd> {
    try {
      const answer = await channel.ask({ kind: 'run', stream, command }, stopped.signal, stopped.patienceMs);
      if (answer.kind !== 'ended') throw new CiError('unavailable', 'Cannot understand the pod of the task');
      using overdue = new Overdue(this.#parts.clock, stopped.signal, stopped.patienceMs);
      await reader.read(answer.printed, overdue.signal);
      return answer.end;
    } catch (error) {
      if (!channel.closed.aborted) throw error;
      await fired(this.lost);
      return { kind: 'killed', signal: 'SIGKILL', byUs: false };
    }
  }

  #stream(): { readonly id: string; readonly socket: Promise<TLSSocket> } {
    const { id, socket } = this.#parts.visit.stream();
    const arrived = orAborted(socket, this.#channel.closed).then(it => {
      this.#sockets.add(it);
      it.on('close', () => this.#sockets.delete(it));
      return it;
    });
    arrived.catch(() => undefined);
    return { id, socket: arrived };
  }

  #closeStreams(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Whoever sends would wait for ever for someone to read the rest. */
  #cut(socket: Promise<TLSSocket>): (error: unknown) => Promise<never> {
    return async error => {
      (await socket).destroy();
      throw error;
    };
  }

  /** In a pod that is gone, or whose container has not come, nothing runs that this could be done to. */
  async #ask(kind: 'freeze' | 'thaw' | 'kill', patienceMs = OVERDUE_MS): Promise<void> {
    const { channel } = this.#parts.stay;
    try {
      await channel?.ask({ kind }, undefined, () => patienceMs);
    } catch (error) {
      if (!channel?.closed.aborted) throw error;
    }
  }
}

/** Waits for all of them: what each has at hand is let go of before anybody goes on. */
async function firstFailure(all: readonly Promise<unknown>[]): Promise<void> {
  const results = await Promise.allSettled(all);
  const failures = results.flatMap(result => (result.status === 'rejected' ? [result.reason] : []));
  if (failures.length > 0)
    throw failures.find(error => error instanceof CiError && error.code === 'invalid') ?? failures[0];
}

function fired(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise(resolve => signal.addEventListener('abort', () => resolve(), { once: true }));
}
