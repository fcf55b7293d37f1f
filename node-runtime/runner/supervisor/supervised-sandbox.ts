import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, constants, openSync, statSync, unlinkSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { type Clock, neverAborted } from '../../system/clock.ts';
import type { CommandEnd } from '../sandbox.ts';
import { bubblewrapArguments, endInBubblewrap, JOINED, notStartedInBubblewrap, startTrial } from './bubblewrap.ts';
import type { CommandPlan, SandboxPlan } from './messages.ts';
import { NamespaceHolder, readAll } from './namespace-holder.ts';
import { withOomScore } from './oom-score.ts';
import { ProcessTree } from './process-tree.ts';

type State =
  | { readonly kind: 'running' }
  | { readonly kind: 'frozen'; readonly since: number; readonly thawed: PromiseWithResolvers<void> }
  | { readonly kind: 'closed' };

/** A sandbox as the supervisor has it: its processes, and what is done to all of them. */
export class SupervisedSandbox {
  readonly #plan: SandboxPlan;
  readonly #clock: Clock;
  readonly #tree: ProcessTree;
  /** Bubblewrap's own processes, which no task needs to be asked to end. */
  readonly #helpers = new Set<number>();
  #state: State = { kind: 'running' };
  /** Whether anything that ends now was ended by us. */
  #isEnding = false;
  #stops = 0;
  #kills = 0;
  #holder: Promise<NamespaceHolder> | undefined;
  #freezing: Promise<void> = Promise.resolve();

  constructor(plan: SandboxPlan, clock: Clock) {
    this.#plan = plan;
    this.#clock = clock;
    this.#tree = new ProcessTree(plan.marks, clock);
  }

  /** Begins what takes time before the first command. */
  prepare(): void {
    if (this.#plan.bubblewrap) this.#hold().catch(() => undefined);
  }

  get frozenSince(): number | undefined {
    return this.#state.kind === 'frozen' ? this.#state.since : undefined;
  }

  /** Starts a command, in a frozen sandbox once it is thawed, and resolves when it has ended. */
  async run(command: CommandPlan): Promise<CommandEnd> {
    const output = openOutput(command.pipe);
    const kills = this.#kills;
    let child: ChildProcess;
    try {
      const holder = this.#plan.bubblewrap && (await this.#hold());
      while (this.#state.kind === 'frozen') await this.#state.thawed.promise;
      if (this.#state.kind === 'closed' || kills !== this.#kills)
        return { kind: 'killed', signal: 'SIGKILL', byUs: true };
      this.#isEnding = false;
      child = holder ? this.#startInBubblewrap(command, output, holder) : this.#start(command, output);
    } catch (error) {
      return { kind: 'not-started', message: (error as Error).message };
    } finally {
      closeSync(output);
    }
    return this.#end(child, command);
  }

  /** Asks all processes to end, and kills those that are there after `graceMs`. */
  async stop(graceMs: number): Promise<void> {
    const stop = ++this.#stops;
    this.#isEnding = true;
    this.#tree.signal('SIGTERM', this.#helpers);
    const limit = this.#clock.monotonic() + graceMs;
    while (this.#clock.monotonic() < limit) {
      await this.#clock.sleep(Math.min(50, graceMs), neverAborted);
      if (stop !== this.#stops || !this.#isEnding) return;
    }
    await this.kill();
  }

  /** What could not be stopped within a few seconds is tried again by whoever asks again. */
  async freeze(): Promise<void> {
    if (this.#state.kind !== 'running') return;
    this.#state = { kind: 'frozen', since: this.#clock.monotonic(), thawed: Promise.withResolvers() };
    this.#freezing = this.#tree.freeze();
    try {
      await this.#freezing;
    } catch (error) {
      this.#go();
      throw error;
    }
  }

  async thaw(): Promise<void> {
    await this.#freezing.catch(() => undefined);
    this.#tree.thaw();
    this.#go();
  }

  /** Kills everything, and gives up a command that waited for a thaw. What is run later runs. */
  async kill(): Promise<void> {
    this.#isEnding = true;
    this.#kills++;
    const holder = this.#holder;
    this.#holder = undefined;
    await this.#tree.kill();
    await holder?.then(held => held.close()).catch(() => undefined);
    this.#go();
  }

  /** Kills everything for good: nothing can be run in it afterwards. */
  async close(): Promise<void> {
    const before = this.#state;
    this.#state = { kind: 'closed' };
    if (before.kind === 'frozen') before.thawed.resolve();
    await this.kill();
  }

  #go(): void {
    if (this.#state.kind !== 'frozen') return;
    const { thawed } = this.#state;
    this.#state = { kind: 'running' };
    thawed.resolve();
  }

  /** The namespaces that commands join, made for the first one, and again after everything was killed. */
  #hold(): Promise<NamespaceHolder> {
    this.#holder ??= NamespaceHolder.start(this.#plan, pid => {
      this.#tree.add(pid);
      this.#helpers.add(pid);
    });
    return this.#holder;
  }

  #start(command: CommandPlan, output: number): ChildProcess {
    const { argv, cwd, env } = command;
    return withOomScore(this.#plan.oomScore, () =>
      spawn(argv[0], argv.slice(1), { ...this.#identity(), cwd, env, stdio: ['ignore', output, output] }),
    );
  }

  #startInBubblewrap(command: CommandPlan, output: number, holder: NamespaceHolder): ChildProcess {
    const { program, layout } = this.#plan.bubblewrap!;
    const args = ['--args', String(JOINED.arguments), '--json-status-fd', String(JOINED.status), '--', ...command.argv];
    const child = withOomScore(this.#plan.oomScore, () =>
      spawn(program, args, {
        ...this.#identity(),
        cwd: '/',
        env: { SIMPLE_CI_SANDBOX: this.#plan.folder },
        stdio: ['ignore', output, output, 'pipe', 'pipe', holder.users, holder.processes],
      }),
    );
    if (child.pid !== undefined) this.#helpers.add(child.pid);
    sendArguments(child.stdio[JOINED.arguments] as Writable, bubblewrapArguments(layout, command));
    return child;
  }

  #identity(): { readonly detached: true; readonly uid?: number; readonly gid?: number } {
    const { user } = this.#plan;
    return { detached: true, ...(user !== undefined && { uid: user, gid: user }) };
  }

  async #end(child: ChildProcess, command: CommandPlan): Promise<CommandEnd> {
    const { pid } = child;
    if (pid !== undefined) this.#tree.add(pid);
    const status = this.#plan.bubblewrap ? readAll(child.stdio[JOINED.status] as Readable) : undefined;
    const end = await this.#exit(child, command);
    if (pid !== undefined) this.#tree.ended(pid);
    this.#stops++;
    if (status === undefined) return end;
    return endInBubblewrap(end, await status, this.#isEnding) ?? (await this.#decide(end, command));
  }

  #exit(child: ChildProcess, command: CommandPlan): Promise<CommandEnd> {
    return new Promise(resolve => {
      child.once('error', error => resolve(notStarted(command, error)));
      child.once('exit', (code, signal) =>
        resolve(signal ? { kind: 'killed', signal, byUs: this.#isEnding } : { kind: 'exited', code: code ?? 0 }),
      );
    });
  }

  /** Whether a command in bubblewrap could not be started, or was too quick for bubblewrap to tell. */
  async #decide(end: CommandEnd, command: CommandPlan): Promise<CommandEnd> {
    const output = openSync('/dev/null', 'w');
    try {
      const holder = await this.#hold();
      const trial = this.#startInBubblewrap(startTrial(command), output, holder);
      if (trial.pid !== undefined) this.#tree.add(trial.pid);
      (trial.stdio[JOINED.status] as Readable).resume();
      const { kind, ...rest } = await this.#exit(trial, command);
      return kind === 'exited' && 'code' in rest && rest.code === 0 ? end : notStartedInBubblewrap(command);
    } catch {
      return end;
    } finally {
      closeSync(output);
    }
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

function notStarted({ argv, cwd }: CommandPlan, error: NodeJS.ErrnoException): CommandEnd {
  const attempt = `Cannot start ${JSON.stringify(argv[0])}`;
  if (error.code === 'ENOENT' && !isFolder(cwd))
    return { kind: 'not-started', message: `${attempt} as its folder does not exist: ${cwd}` };
  if (error.code === 'ENOENT') return { kind: 'not-started', message: `${attempt} as there is no such program` };
  if (error.code === 'EACCES') return { kind: 'not-started', message: `${attempt} as it may not be executed` };
  return { kind: 'not-started', message: `${attempt}: ${error.message}` };
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
