import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync, unlinkSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { type Clock, neverAborted } from '../../system/clock.ts';
import type { CommandEnd } from '../sandbox.ts';
import {
  bubblewrapArguments,
  cannotStart,
  JOINED,
  notStartedInBubblewrap,
  startTrial,
  wasStarted,
} from './bubblewrap.ts';
import { commandEnd } from './command-end.ts';
import type { CommandPlan, SandboxPlan } from './messages.ts';
import { NamespaceHolder, readAll } from './namespace-holder.ts';
import { notStarted } from './not-started.ts';
import { withOomScore } from './oom-score.ts';
import type { Permit } from './permit.ts';
import { ProcessTree } from './process-tree.ts';

/** A command from when it is asked for until it has ended, and what was done to end it. */
interface Run {
  /** The last signal that we have sent to end it. */
  ending?: 'SIGTERM' | 'SIGKILL';
  stops: number;
}

/** What came of starting bubblewrap: the end of its command, or its own before it had come as far as that. */
type Try =
  | { readonly kind: 'ended'; readonly end: CommandEnd }
  | { readonly kind: 'never-began'; readonly words: string; readonly holder: NamespaceHolder };

/** A sandbox as the supervisor has it: its processes, and what is done to all of them. */
export class SupervisedSandbox {
  readonly #plan: SandboxPlan;
  readonly #permit: Permit;
  readonly #clock: Clock;
  readonly #tree: ProcessTree;
  /** Bubblewrap's own processes, which no task needs to be asked to end. */
  readonly #helpers = new Set<number>();
  #isClosed = false;
  #run: Run | undefined;
  #holder: Promise<NamespaceHolder> | undefined;
  /** The stopping of all processes, under way or done; undefined when it was not begun or did not work. */
  #stopping: Promise<void> | undefined;

  constructor(plan: SandboxPlan, permit: Permit, clock: Clock) {
    this.#plan = plan;
    this.#permit = permit;
    this.#clock = clock;
    this.#tree = new ProcessTree(plan.marks, clock);
  }

  /** Begins what takes time before the first command. */
  prepare(): void {
    if (this.#plan.bubblewrap) this.#hold().catch(() => undefined);
  }

  get frozenSince(): number | undefined {
    return this.#permit.frozenSince;
  }

  get isLeaseAlive(): boolean {
    return this.#permit.isLeaseAlive;
  }

  /** How many milliseconds since then it has stood still. */
  stoodStill(since: number): number {
    return this.#permit.stoodStill(since);
  }

  /**
   * Starts a command, as soon as that is permitted, and resolves when it has ended. Rejects when it was not for the command that
   * it could not be started: no sandbox could be made for it.
   */
  async run(command: CommandPlan): Promise<CommandEnd> {
    const output = openOutput(command.pipe);
    const run: Run = { stops: 0 };
    this.#run = run;
    try {
      return await (this.#plan.bubblewrap
        ? this.#runInBubblewrap(command, run, output)
        : this.#runDirectly(command, run, output));
    } catch (error) {
      // What fails because we have killed it is not a sandbox that could not be made.
      const ended = this.#endedBefore(run);
      if (ended) return ended;
      throw error;
    } finally {
      this.#run = undefined;
      closeSync(output);
    }
  }

  /** Asks all processes to end, and kills them if the command has not ended after `graceMs`. */
  async stop(graceMs: number): Promise<void> {
    const run = this.#run;
    if (!run) return;
    const stop = ++run.stops;
    run.ending = 'SIGTERM';
    this.#tree.signal('SIGTERM', this.#helpers);
    const limit = this.#clock.monotonic() + graceMs;
    while (this.#clock.monotonic() < limit) {
      await this.#clock.sleep(Math.min(50, graceMs), neverAborted);
      if (run !== this.#run || run.stops !== stop) return;
    }
    await this.kill();
  }

  /** What could not be stopped within a few seconds is tried again by whoever asks again, and counts as frozen all the time. */
  async freeze(): Promise<void> {
    if (this.#isClosed) return;
    this.#permit.freeze();
    this.#stopping ??= this.#tree.freeze().catch(error => {
      this.#stopping = undefined;
      throw error;
    });
    await this.#stopping;
  }

  /** Rejects when that is not permitted: the lease may have ended. */
  async thaw(): Promise<void> {
    await this.#stopping?.catch(() => undefined);
    this.#permit.thaw();
    this.#stopping = undefined;
    this.#tree.thaw();
  }

  /** Kills everything, and gives up a command that was not permitted yet. What is run later runs. */
  async kill(): Promise<void> {
    if (this.#run) this.#run.ending = 'SIGKILL';
    const holder = this.#holder;
    this.#holder = undefined;
    await this.#tree.kill();
    await holder?.then(held => held.close()).catch(() => undefined);
    // Still under way, it would stop what is run next.
    await this.#stopping?.catch(() => undefined);
    this.#stopping = undefined;
    this.#permit.lift();
  }

  /** Kills everything for good: nothing can be run in it afterwards. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#permit.lift();
    await this.kill();
  }

  async #runDirectly(command: CommandPlan, run: Run, output: number): Promise<CommandEnd> {
    while (this.#isHeld(run)) await this.#permit.changed();
    const ended = this.#endedBefore(run);
    if (ended) return ended;
    try {
      return commandEnd(...(await this.#exit(this.#spawn(command, output))), run.ending !== undefined);
    } catch (error) {
      return notStarted(command, error as NodeJS.ErrnoException);
    }
  }

  /**
   * Bubblewrap gives the same code for a command that cannot be started and for a sandbox that it could not make. A trial in the
   * same sandbox tells them apart: either it finds the reason, or whatever was in the way has passed. As nothing of the command
   * has run, it is started again then; if that does no better, it is a program of a format that nobody can start.
   */
  async #runInBubblewrap(command: CommandPlan, run: Run, output: number): Promise<CommandEnd> {
    for (let isAgain = false; ; isAgain = true) {
      const tried = await this.#tryInBubblewrap(command, run, output);
      if (tried.kind === 'ended') return tried.end;
      const trial = await this.#tryInBubblewrap(startTrial(command), run, 'pipe');
      // Killed by the task itself or for lack of memory, and with them all that ran in them.
      if (!tried.holder.isAlive) return { kind: 'killed', signal: 'SIGKILL', byUs: run.ending !== undefined };
      if (trial.kind === 'never-began')
        throw new Error(`Cannot make a sandbox for a command as bubblewrap failed: ${trial.words}`);
      if (run.ending) return trial.end;
      if (isAgain || cannotStart(trial.end)) return notStartedInBubblewrap(command, trial.end);
    }
  }

  async #tryInBubblewrap(command: CommandPlan, run: Run, output: number | 'pipe'): Promise<Try> {
    const holder = await this.#hold();
    while (this.#isHeld(run)) await this.#permit.changed();
    const ended = this.#endedBefore(run);
    if (ended) return { kind: 'ended', end: ended };
    const child = this.#spawnInBubblewrap(command, output, holder);
    if (child.pid === undefined) throw (await once(child, 'error'))[0];
    this.#helpers.add(child.pid);
    sendArguments(
      child.stdio[JOINED.arguments] as Writable,
      bubblewrapArguments(this.#plan.bubblewrap!.layout, command),
    );
    const about = [child.stdio[JOINED.status] as Readable, ...(child.stderr ? [child.stderr] : [])];
    const [exit, status = '', words = ''] = await Promise.all([this.#exit(child), ...about.map(readAll)]);
    const [code, signal] = exit;
    if (signal !== null || wasStarted(status))
      return { kind: 'ended', end: commandEnd(code, signal, run.ending !== undefined) };
    if (run.ending) return { kind: 'ended', end: { kind: 'killed', signal: run.ending, byUs: true } };
    return { kind: 'never-began', words: words.trim(), holder };
  }

  /** Whether a command is to wait. Nothing may be waited for between this and its start. */
  #isHeld(run: Run): boolean {
    return !this.#permit.isGiven && !this.#endedBefore(run);
  }

  /** How a command ended that is not to be started any more. */
  #endedBefore(run: Run): CommandEnd | undefined {
    if (this.#isClosed) run.ending = 'SIGKILL';
    return run.ending && { kind: 'killed', signal: run.ending, byUs: true };
  }

  /** The namespaces that commands join, made for the first one, and again after everything was killed. */
  #hold(): Promise<NamespaceHolder> {
    this.#holder ??= NamespaceHolder.start(this.#plan, pid => {
      this.#tree.add(pid);
      this.#helpers.add(pid);
    });
    return this.#holder;
  }

  #spawn({ argv, cwd, env }: CommandPlan, output: number): ChildProcess {
    return withOomScore(this.#plan.oomScore, () =>
      spawn(argv[0], argv.slice(1), { ...this.#identity(), cwd, env, stdio: ['ignore', output, output] }),
    );
  }

  #spawnInBubblewrap({ argv }: CommandPlan, output: number | 'pipe', holder: NamespaceHolder): ChildProcess {
    const { program } = this.#plan.bubblewrap!;
    const args = ['--args', String(JOINED.arguments), '--json-status-fd', String(JOINED.status), '--', ...argv];
    return withOomScore(this.#plan.oomScore, () =>
      spawn(program, args, {
        ...this.#identity(),
        cwd: '/',
        env: { SIMPLE_CI_SANDBOX: this.#plan.folder },
        stdio: [
          'ignore',
          output === 'pipe' ? 'ignore' : output,
          output,
          'pipe',
          'pipe',
          holder.users,
          holder.processes,
        ],
      }),
    );
  }

  #identity(): { readonly detached: true; readonly uid?: number; readonly gid?: number } {
    const { user } = this.#plan;
    return { detached: true, ...(user !== undefined && { uid: user, gid: user }) };
  }

  /** Resolves to its exit code and signal; rejects if it could not be started. */
  async #exit(child: ChildProcess): Promise<[number | null, NodeJS.Signals | null]> {
    const { pid } = child;
    if (pid !== undefined) this.#tree.add(pid);
    const exit = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
    if (pid !== undefined) this.#tree.ended(pid);
    return exit;
  }
}

/**
 * Opens the pipe for a command to write to, as blocking as commands expect it. That never waits, also when the node has gone
 * away: there is a reader, ourselves, for that moment.
 */
function openOutput(pipe: string): number {
  const reader = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    return openSync(pipe, constants.O_WRONLY);
  } finally {
    closeSync(reader);
    unlinkSync(pipe);
  }
}

function sendArguments(stream: Writable, words: readonly string[]): void {
  stream.on('error', () => undefined);
  stream.end(words.map(word => `${word}\0`).join(''));
}
