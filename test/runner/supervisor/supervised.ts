import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { chmod } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { TaskId } from '../../../shared/ids.ts';
import type {
  CommandEnd,
  Isolation,
  RunningCommand,
  Sandbox,
  Supervisor,
} from '../../../node-runtime/runner/sandbox.ts';
import type { LeaseId } from '../../../node-runtime/store/store.ts';
import { startSupervisor, type SupervisorOptions } from '../../../node-runtime/runner/supervisor/start-supervisor.ts';
import { momentOf, systemClock } from '../../../node-runtime/system/clock.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

export const SUPERVISE = [
  process.execPath,
  fileURLToPath(new URL('../../../node-runtime/main.ts', import.meta.url)),
  'supervise',
];
export const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** What tests claim under. */
export const LEASE = '42' as LeaseId;
export const isRoot = process.getuid?.() === 0;

/** The isolations that this machine and user allow, in a test's terms. */
export const ISOLATIONS: readonly Isolation[] = [
  'none',
  ...(isRoot ? (['user'] as const) : []),
  ...(hasBubblewrap() ? (['bubblewrap'] as const) : []),
];

function hasBubblewrap(): boolean {
  return spawnSync('bwrap', ['--unshare-all', '--ro-bind', '/', '/', 'true']).status === 0;
}

/** A supervisor with its node's side, in a folder of its own. */
export interface Supervised extends AsyncDisposable {
  readonly supervisor: Supervisor;
  readonly root: string;
  readonly notices: readonly string[];
  open(): Promise<Sandbox>;
  /** Tells the supervisor that a lease was renewed just now. It has been told so once of that which sandboxes are opened under. */
  renew(lease?: LeaseId): void;
  /** The same every few milliseconds, until stopped. */
  keepRenewing(): Disposable;
}

const YEAR_MS = 365 * 24 * 3_600_000;

let opened = 0;

export async function supervised(
  isolation: SupervisorOptions['isolation'],
  rules: Partial<SupervisorOptions> = {},
): Promise<Supervised> {
  const folder = await temporaryFolder();
  await chmod(folder.path, 0o711);
  const notices: string[] = [];
  const supervisor = await startSupervisor({
    command: SUPERVISE,
    root: folder.path,
    isolation,
    clock: systemClock,
    onNotice: text => notices.push(text),
    // Tests that say nothing else are about something else, also on a machine whose calendar is set meanwhile.
    freezeAfterMs: YEAR_MS,
    ...rules,
  });
  const renew = (lease = LEASE) => supervisor.renewed({ lease, sent: momentOf(systemClock) });
  renew();
  return {
    supervisor,
    renew,
    root: folder.path,
    notices,
    open: () => supervisor.open({ task: newTask(), fence: 7, lease: LEASE }),
    keepRenewing() {
      const timer = setInterval(() => renew(), 20);
      return { [Symbol.dispose]: () => clearInterval(timer) };
    },
    async [Symbol.asyncDispose]() {
      await supervisor[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

function newTask(): TaskId {
  return `5test${++opened}` as TaskId;
}

export function start(sandbox: Sandbox, script: string, env: Record<string, string> = {}): RunningCommand {
  const argv = ['/bin/sh', '-c', script] as const;
  return sandbox.run({ argv, cwd: sandbox.inside.workspace, env: { PATH, HOME: sandbox.inside.home, ...env } });
}

/** Runs a script to its end, with all its output. */
export async function run(
  sandbox: Sandbox,
  script: string,
  env?: Record<string, string>,
): Promise<{ readonly end: CommandEnd; readonly output: string }> {
  return finish(start(sandbox, script, env));
}

export async function finish(running: RunningCommand): Promise<{ readonly end: CommandEnd; readonly output: string }> {
  const [end, output] = await Promise.all([running.ended, read(running)]);
  return { end, output };
}

export async function read({ output }: RunningCommand): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const bytes of output) chunks.push(Buffer.from(bytes));
  return Buffer.concat(chunks).toString();
}

/** Pids of all living processes of this machine that have this word as an argument of their own. */
export function processesWith(word: string): number[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name) && argumentsOf(name).includes(word) && !isDead(name))
    .map(Number);
}

function argumentsOf(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return [];
  }
}

export function isDead(pid: string | number): boolean {
  try {
    return /^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return true;
  }
}

/** A number of seconds to sleep that no other process of this machine sleeps. */
export function oddSeconds(): string {
  return `${100_000 + Math.floor(Math.random() * 900_000)}.${process.pid}`;
}
