import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import * as l10n from '@vscode/l10n';
import { CiError } from '../shared/errors.ts';
import type { Program } from './program.ts';

export interface ProgramCall {
  readonly args: readonly string[];
  readonly cwd?: string;
  /** Beside the program's own: a token goes here, where other users of the machine cannot see it. */
  readonly env?: NodeJS.ProcessEnv;
}

export interface ProgramEnd {
  readonly code: number | null;
  /** What it said to people, without its own name before it. */
  readonly said: string;
}

/** More of what a program says is not kept, in characters: its end has the reason. */
const SAID_KEPT = 20_000;

/** Starts `simple-ci`. */
export function startProgram(program: Program, { args, cwd, env }: ProgramCall): ChildProcessWithoutNullStreams {
  return spawn(program.command, [...program.args, ...args], {
    ...(cwd !== undefined && { cwd }),
    env: { ...program.env, ...env, NO_COLOR: '1' },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
}

/**
 * Runs `simple-ci … --json` to its end and tells each line of its output as it comes. The signal interrupts it as Ctrl-C would.
 * Rejects with the signal's reason then, and with `unavailable` when the program cannot be started.
 */
export async function runProgram(
  program: Program,
  call: ProgramCall,
  onLine: (line: Record<string, unknown>) => void,
  signal: AbortSignal,
): Promise<ProgramEnd> {
  signal.throwIfAborted();
  const child = startProgram(program, call);
  const said = keepSaid(child);
  const interrupt = () => void child.kill('SIGINT');
  signal.addEventListener('abort', interrupt, { once: true });
  try {
    child.stdin.on('error', () => undefined).end();
    const ended = once(child, 'close');
    createInterface({ input: child.stdout }).on('line', line => onLine(parseLine(line)));
    const [code] = (await ended) as [number | null];
    signal.throwIfAborted();
    return { code, said: said() };
  } catch (error) {
    signal.throwIfAborted();
    throw new CiError('unavailable', l10n.t`Cannot start ${program.command}`, { cause: error });
  } finally {
    signal.removeEventListener('abort', interrupt);
  }
}

/** The end of what the program says to people. */
export function keepSaid(child: ChildProcessWithoutNullStreams): () => string {
  let text = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    text = (text + chunk).slice(-SAID_KEPT);
  });
  return () => text.trim().replace(/^simple-ci: /gm, '');
}

/** What is no JSON is no event: a line without fields. */
export function parseLine(line: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
