import { CiError } from '../../shared/errors.ts';
import {
  FREEZE_RULES,
  type Freezable,
  freezeWhenSilent,
} from '../../node-runtime/runner/supervisor/freeze-when-silent.ts';
import { Permit } from '../../node-runtime/runner/supervisor/permit.ts';
import { RenewalWatch } from '../../node-runtime/runner/supervisor/renewal-watch.ts';
import type { Renewal } from '../../node-runtime/cluster/session.ts';
import { SYSTEM_PATH } from '../../node-runtime/runner/system-path.ts';
import {
  type Command,
  type CommandEnd,
  type RunningCommand,
  type Sandbox,
  type SandboxedAttempt,
  SandboxLost,
  type SandboxSystem,
  type Supervisor,
} from '../../node-runtime/runner/sandbox.ts';
import { type Clock, neverAborted } from '../../node-runtime/system/clock.ts';
import { Execution, type Executions } from './executions.ts';
import type { Machine, Process } from './machine.ts';
import { removeModelFiles, writeModelFile } from './model-files.ts';
import { OutputPipe } from './output-pipe.ts';
import { runProgram, TaskProgram } from './task-program.ts';

/** How long a message takes between a node and its supervisor, in milliseconds. */
const PIPE_MS = 0.2;
/** How long the launcher needs to notice that its supervisor is dead, and to kill what that has left. */
const LAUNCHER_MS = 50;

export interface ModelSupervisorParts {
  readonly machine: Machine;
  readonly node: Process;
  readonly executions: Executions;
  /** A task has taken its machine down. */
  readonly onPoison: () => void;
}

/** What a node can be stopped at before its supervisor hears of it. */
export type Order = 'run' | 'thaw';

/** Something that happens to a node at the very moment at which it gives an order. */
interface Ambush {
  readonly at: Order;
  /** The order leaves when `depart` is called. */
  readonly strike: (depart: () => void) => void;
}

/** Starts the supervisor of a node: a process of its own on the same machine. */
export function startModelSupervisor(parts: ModelSupervisorParts): ModelSupervisor {
  return new ModelSupervisor(parts, parts.machine.start('supervisor'));
}

/** The node's side. The rules by which it freezes and kills are the product's own. */
export class ModelSupervisor implements Supervisor {
  readonly isolation = 'none';
  /** The supervisor process itself. */
  readonly guard: Process;
  readonly #parts: ModelSupervisorParts;
  readonly #lost = new AbortController();
  readonly #sandboxes = new Set<GuardedSandbox>();
  readonly #renewals: RenewalWatch;
  #isEnding = false;
  /** Waits for its node to give an order. */
  ambush: Ambush | undefined;

  constructor(parts: ModelSupervisorParts, guard: Process) {
    this.#parts = parts;
    this.guard = guard;
    this.#renewals = new RenewalWatch(guard, FREEZE_RULES.freezeAfterMs);
    void freezeWhenSilent(guard, () => this.#sandboxes, FREEZE_RULES);
    void parts.node.ended.then(() => this.#nodeEnded());
    void guard.ended.then(() => this.#guardEnded());
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Whose supervisor it is. */
  get node(): Process {
    return this.#parts.node;
  }

  async open(attempt: SandboxedAttempt): Promise<Sandbox> {
    if (this.guard.isDead) throw new CiError('unavailable', 'Cannot open a sandbox as the supervisor was lost');
    const guarded = new GuardedSandbox({ ...this.#parts, guard: this.guard, attempt, renewals: this.#renewals });
    this.tell(() => this.#sandboxes.add(guarded));
    return new ModelSandbox(this, guarded, `/simulated/${attempt.task}-${attempt.fence}`);
  }

  renewed(renewal: Renewal): void {
    this.tell(() => this.#renewals.renewed(renewal));
  }

  /** Since when the longest frozen sandbox stands still, by the supervisor's clock. */
  get frozenSince(): number | undefined {
    const since = [...this.#sandboxes].flatMap(({ frozenSince }) => frozenSince ?? []);
    return this.guard.isDead || since.length === 0 ? undefined : Math.min(...since);
  }

  forget(guarded: GuardedSandbox): void {
    this.#sandboxes.delete(guarded);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnding = true;
    this.tell(() => this.#end());
    await this.#parts.node.sleep(LAUNCHER_MS, neverAborted);
  }

  /** Messages arrive in order. */
  tell(run: () => void): void {
    this.#parts.machine.scheduler.after(PIPE_MS, () => this.guard.deliver(run));
  }

  /** Resolves when it was done; undefined once the supervisor is lost. */
  ask<T>(work: () => Promise<T>): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      this.#lost.signal.addEventListener('abort', () => resolve(undefined), { once: true });
      if (this.#lost.signal.aborted) return resolve(undefined);
      const answer = (run: () => void) =>
        this.#parts.machine.scheduler.after(PIPE_MS, () => this.#parts.node.deliver(run));
      this.tell(() => {
        work().then(
          value => answer(() => resolve(value)),
          error => answer(() => reject(new CiError('unavailable', error.message))),
        );
      });
    });
  }

  /** As `ask`, for what somebody may lie in wait for. */
  order<T>(order: Order, work: () => Promise<T>): Promise<T | undefined> {
    const { ambush } = this;
    if (ambush?.at !== order) return this.ask(work);
    this.ambush = undefined;
    return new Promise((resolve, reject) => ambush.strike(() => this.ask(work).then(resolve, reject)));
  }

  /** The node's end of the pipe has closed. */
  #nodeEnded(): void {
    this.tell(() => this.#end());
  }

  #end(): void {
    for (const sandbox of this.#sandboxes) void sandbox.kill();
    this.guard.kill();
  }

  #guardEnded(): void {
    this.#parts.machine.scheduler.after(LAUNCHER_MS, () => {
      for (const sandbox of this.#sandboxes) sandbox.killProcess();
      if (this.#isEnding) return;
      this.#parts.node.deliver(() => this.#lost.abort(new SandboxLost('crashed', 'The supervisor process was lost')));
    });
  }
}

interface GuardedParts extends ModelSupervisorParts {
  readonly guard: Process;
  readonly attempt: SandboxedAttempt;
  readonly renewals: RenewalWatch;
}

/** The supervisor's side of a sandbox: one process at a time. */
class GuardedSandbox implements Freezable {
  readonly #parts: GuardedParts;
  readonly #permit: Permit;
  #current: { readonly process: Process; readonly term: AbortController; readonly killed: () => void } | undefined;
  /** The command from when it is asked for until it has ended. */
  #run: { isEnding: boolean } | undefined;
  #isClosed = false;

  constructor(parts: GuardedParts) {
    this.#parts = parts;
    this.#permit = new Permit(parts.attempt.lease, parts.renewals, parts.guard);
  }

  get frozenSince(): number | undefined {
    return this.#permit.frozenSince;
  }

  get isLeaseAlive(): boolean {
    return this.#permit.isLeaseAlive;
  }

  async run(command: Command, pipe: OutputPipe, folder: string): Promise<CommandEnd> {
    const run = { isEnding: this.#isClosed };
    this.#run = run;
    while (!this.#permit.isGiven && !run.isEnding) await this.#permit.changed();
    const end: CommandEnd = run.isEnding
      ? { kind: 'killed', signal: 'SIGKILL', byUs: true }
      : await this.#start(command, run, pipe, folder);
    this.#run = undefined;
    pipe.close();
    return end;
  }

  stop(graceMs: number): void {
    const stopped = this.#run;
    if (!stopped) return;
    stopped.isEnding = true;
    const current = this.#current;
    current?.process.deliver(() => current.term.abort(new Error('SIGTERM')));
    const clock: Clock = this.#parts.guard;
    void clock.sleep(graceMs, neverAborted).then(() => {
      if (stopped === this.#run) void this.kill();
    });
  }

  async freeze(): Promise<void> {
    this.#permit.freeze();
    this.#current?.process.pause();
  }

  async thaw(): Promise<void> {
    this.#permit.thaw();
    this.#current?.process.resume();
  }

  async kill(): Promise<void> {
    if (this.#run) this.#run.isEnding = true;
    this.killProcess();
    this.#permit.lift();
  }

  stoodStill(since: number): number {
    return this.#permit.stoodStill(since);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.kill();
  }

  killProcess(): void {
    const current = this.#current;
    this.#current = undefined;
    current?.process.kill();
    current?.killed();
  }

  #start(command: Command, run: { readonly isEnding: boolean }, pipe: OutputPipe, folder: string): Promise<CommandEnd> {
    const { machine, guard, executions, attempt, onPoison } = this.#parts;
    const process = machine.start(`task ${attempt.task}`);
    const term = new AbortController();
    const execution = new Execution({
      task: attempt.task,
      fence: attempt.fence,
      machine: machine.name,
      process,
      guard,
    });
    const program = TaskProgram.parse(JSON.parse(command.argv.at(-1)!));
    const effects = {
      print: (bytes: Buffer) => {
        execution.printed.push({ bytes, at: machine.scheduler.now });
        return pipe.write(bytes, process);
      },
      writeFile: (path: string, bytes: Buffer) => writeModelFile(`${folder}/workspace/${path}`, bytes),
      poison: onPoison,
    };
    return new Promise((resolve, reject) => {
      const killed = () => {
        pipe.close();
        resolve({ kind: 'killed', signal: 'SIGKILL', byUs: run.isEnding });
      };
      this.#current = { process, term, killed };
      executions.add(execution);
      runProgram(program, command.env, process, term.signal, effects).then(end => {
        process.kill();
        guard.deliver(() => {
          this.#current = undefined;
          resolve(end);
        });
      }, reject);
    });
  }
}

/** The node's side of a sandbox. */
class ModelSandbox implements Sandbox {
  readonly folders;
  readonly inside;
  readonly #supervisor: ModelSupervisor;
  readonly #guarded: GuardedSandbox;
  readonly #folder: string;

  constructor(supervisor: ModelSupervisor, guarded: GuardedSandbox, folder: string) {
    this.#supervisor = supervisor;
    this.#guarded = guarded;
    this.#folder = folder;
    this.folders = { workspace: `${folder}/workspace`, home: `${folder}/home`, tmp: `${folder}/tmp` };
    this.inside = this.folders;
  }

  async adopt(): Promise<void> {}

  get lost(): AbortSignal {
    return this.#supervisor.lost;
  }

  async handOver(): Promise<void> {}

  async system(): Promise<SandboxSystem> {
    return { env: { PATH: SYSTEM_PATH }, hasBash: true };
  }

  async bringBack(): Promise<void> {}

  run(command: Command): RunningCommand {
    const pipe = new OutputPipe(this.#supervisor.node);
    const lost = { kind: 'killed', signal: 'SIGKILL', byUs: false } as const;
    const ended = this.#supervisor
      .order('run', () => this.#guarded.run(command, pipe, this.#folder))
      .then(end => {
        if (end === undefined) pipe.close();
        return end ?? lost;
      });
    ended.catch(() => undefined);
    return {
      output: pipe.read(),
      ended,
      stop: graceMs => this.#supervisor.tell(() => this.#guarded.stop(graceMs)),
    };
  }

  async freeze(): Promise<void> {
    await this.#supervisor.ask(() => this.#guarded.freeze());
  }

  async thaw(): Promise<void> {
    await this.#supervisor.order('thaw', () => this.#guarded.thaw());
  }

  async stoodStill(since: number): Promise<number> {
    return (await this.#supervisor.ask(async () => this.#guarded.stoodStill(since))) ?? 0;
  }

  async kill(): Promise<void> {
    await this.#supervisor.ask(() => this.#guarded.kill());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#supervisor.ask(async () => {
      await this.#guarded.close();
      this.#supervisor.forget(this.#guarded);
    });
    removeModelFiles(this.#folder);
  }
}
