import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, constants, openSync, statSync, unlinkSync } from 'node:fs';
import type { Writable } from 'node:stream';
import type { Clock } from '../../system/clock.ts';
import { neverAborted } from '../../system/clock.ts';
import type { CommandEnd } from '../sandbox.ts';
import { bubblewrapArguments, endInBubblewrap } from './bubblewrap.ts';
import type { CommandPlan, SandboxPlan } from './messages.ts';
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
  #freezing: Promise<void> = Promise.resolve();

  constructor(plan: SandboxPlan, clock: Clock) {
    this.#plan = plan;
    this.#clock = clock;
    this.#tree = new ProcessTree(plan.marks, clock);
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
      while (this.#state.kind === 'frozen') await this.#state.thawed.promise;
      if (this.#state.kind === 'closed' || kills !== this.#kills)
        return { kind: 'killed', signal: 'SIGKILL', byUs: true };
      this.#isEnding = false;
      child = this.#spawn(command, output);
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
    await this.#tree.kill();
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

  #spawn(command: CommandPlan, output: number): ChildProcess {
    const { user, bubblewrap, folder } = this.#plan;
    const identity = user === undefined ? {} : { uid: user, gid: user };
    const common = { ...identity, detached: true };
    return withOomScore(this.#plan.oomScore, () => {
      if (!bubblewrap)
        return spawn(command.argv[0], command.argv.slice(1), {
          ...common,
          cwd: command.cwd,
          env: command.env,
          stdio: ['ignore', output, output],
        });
      const child = spawn(bubblewrap.program, ['--args', '3', '--json-status-fd', '4', '--', ...command.argv], {
        ...common,
        cwd: '/',
        env: { SIMPLE_CI_SANDBOX: folder },
        stdio: ['ignore', output, output, 'pipe', 'pipe'],
      });
      sendArguments(child.stdio[3] as Writable, bubblewrapArguments(bubblewrap.layout, command));
      return child;
    });
  }

  async #end(child: ChildProcess, command: CommandPlan): Promise<CommandEnd> {
    const { pid } = child;
    if (pid !== undefined) this.#tree.add(pid);
    const status = this.#plan.bubblewrap ? this.#readStatus(child, pid) : undefined;
    const end = await new Promise<CommandEnd>(resolve => {
      child.once('error', error => resolve(notStarted(command, error)));
      child.once('exit', (code, signal) =>
        resolve(signal ? { kind: 'killed', signal, byUs: this.#isEnding } : { kind: 'exited', code: code ?? 0 }),
      );
    });
    if (pid !== undefined) this.#tree.ended(pid);
    this.#stops++;
    if (status === undefined) return end;
    return endInBubblewrap(end, await status, command, this.#isEnding);
  }

  /** What bubblewrap tells of itself: the pid of its inner process, and later the exit code of the command if it was started. */
  async #readStatus(child: ChildProcess, pid: number | undefined): Promise<{ started: boolean }> {
    if (pid !== undefined) this.#helpers.add(pid);
    let text = '';
    const stream = child.stdio[4] as AsyncIterable<Buffer>;
    try {
      for await (const bytes of stream) {
        text += bytes;
        const inner = text.match(/"child-pid": (\d+)/);
        if (inner) this.#helpers.add(Number(inner[1]));
      }
    } catch {
      // What was read so far is all there is.
    }
    return { started: text.includes('"exit-code"') };
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
