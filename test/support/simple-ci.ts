import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build, bundle } from '../../scripts/build.mjs';
import { binary, buildBinaries } from '../../scripts/build-binary.mjs';
import { NODE_FLAGS } from '../../scripts/bundle-options.mjs';
import { createClient } from '../../shared/client.ts';
import { eventually } from './test-tasks.ts';

/** The program as users run it: the bundle, or the one executable where the tests are told so; in a process of its own. */
const isOfBinary = process.env.SIMPLE_CI_TEST_PROGRAM === 'binary';
const ready = isOfBinary ? builtBinary() : existsSync(bundle) && isBuilt() ? Promise.resolve() : build();

/** What starts the program that is tested. */
export async function programUnderTest(): Promise<readonly [string, ...string[]]> {
  await ready;
  return isOfBinary ? [binary] : [process.execPath, bundle];
}

/** The path of the executable, built if it was not before the tests began. */
export async function builtBinary(): Promise<string> {
  if (!(isBuilt() && existsSync(binary))) await buildBinaries();
  return binary;
}

function isBuilt(): boolean {
  return process.env.SIMPLE_CI_TEST_BUILT === 'true';
}

export interface RunOptions {
  readonly cwd?: string;
  /** All of the environment beside PATH: a home of its own keeps a run from others. */
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string | Buffer;
  /** Another bundle than the one of this checkout. */
  readonly program?: string;
  /** A command that becomes the program given to it, such as `setpriv … --`. */
  readonly by?: readonly string[];
}

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly bytes: Buffer;
}

/** `simple-ci ARGS…`, to its end. */
export async function simpleCi(args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const child = await start(args, options);
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout?.on('data', chunk => out.push(chunk));
  child.stderr?.on('data', chunk => err.push(chunk));
  child.stdin?.on('error', () => undefined).end(options.input ?? '');
  const [code] = (await once(child, 'close')) as [number | null];
  const bytes = Buffer.concat(out);
  return { code, stdout: bytes.toString(), stderr: Buffer.concat(err).toString(), bytes };
}

/** Starts it, for tests that send signals. */
export async function start(args: readonly string[], options: RunOptions = {}): Promise<ChildProcess> {
  await ready;
  const { program, by = [] } = options;
  const own = isOfBinary && program === undefined ? [binary] : [process.execPath, ...NODE_FLAGS, program ?? bundle];
  const [command, ...rest] = [...by, ...own, ...args];
  return spawn(command!, rest, {
    cwd: options.cwd ?? tmpdir(),
    env: { PATH: process.env.PATH ?? '', ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
}

/** A folder that is removed at the end. */
export async function temporaryFolder(): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'simple-ci-test-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 5 }) };
}

export interface NodeProcess extends AsyncDisposable {
  readonly address: string;
  /** The cluster's admin token, if this node has formed it. */
  readonly adminToken: string | undefined;
  readonly process: ChildProcess;
  readonly ended: Promise<number | null>;
  /** Everything it has printed so far. */
  output(): string;
}

/** `simple-ci node …`, until it says that it is ready, or the signal fires. Killed at the end if it still runs. */
export async function startNode(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  options: Pick<RunOptions, 'program' | 'by'> & { readonly signal?: AbortSignal } = {},
): Promise<NodeProcess> {
  const folder = await temporaryFolder();
  const own = ['node', '--json', '--listen', '127.0.0.1:0', '--data', folder.path];
  const child = await start([...own, ...args], { ...options, env });
  let text = '';
  child.stdout?.on('data', chunk => (text += chunk));
  child.stderr?.on('data', chunk => (text += chunk));
  const ended = once(child, 'close').then(([code]) => code as number | null);
  const kill = () => void child.kill('SIGKILL');
  options.signal?.addEventListener('abort', kill, { once: true });
  const dispose = async () => {
    kill();
    await ended;
    await folder[Symbol.asyncDispose]();
  };
  try {
    const ready = await eventually(
      'the node is ready',
      () => {
        const end = child.exitCode ?? child.signalCode;
        if (end !== null) throw new Error(`The node ended with ${end}: ${text}`);
        return eventsOf(text).find(({ event }) => event === 'ready');
      },
      60_000,
    );
    const adminToken = eventsOf(text).find(({ event }) => event === 'admin-token')?.token;
    return {
      address: ready.address ?? '',
      adminToken,
      process: child,
      ended,
      output: () => text,
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  } finally {
    options.signal?.removeEventListener('abort', kill);
  }
}

interface NodeEvent {
  readonly event?: string;
  readonly address?: string;
  readonly token?: string;
}

function eventsOf(text: string): NodeEvent[] {
  return text.split('\n').flatMap(line => {
    try {
      return [JSON.parse(line) as NodeEvent];
    } catch {
      return [];
    }
  });
}

export function clientOf(node: NodeProcess, token: string) {
  return createClient({ urls: [node.address], token });
}
