import { type ChildProcess, spawn } from 'node:child_process';
import { PassThrough } from 'node:stream';
import { CiError } from '../../shared/errors.ts';
import { quote } from '../../shared/ids.ts';
import { DeadlineExceeded } from './clock.ts';

/** A program to run. No shell looks at its arguments, and nothing of this process's environment reaches it. */
export interface ProcessOptions {
  readonly argv: readonly [string, ...string[]];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** Its standard input. Default: empty. */
  readonly input?: string | Uint8Array;
  /** An open file to be its standard input instead. */
  readonly stdin?: number;
  /** Kills it, and everything that waits for it rejects with the signal's reason. */
  readonly signal: AbortSignal;
  /** Milliseconds after which it is killed and `DeadlineExceeded` is thrown. Default: 10 min. */
  readonly timeoutMs?: number;
  /** Bytes of standard output that are kept in memory; more is an error. Default: 256 MiB. Not for `streamProcess`. */
  readonly maxOutputBytes?: number;
}

export interface ProcessResult {
  /** -1 when a signal killed it. */
  readonly code: number;
  readonly stdout: Buffer;
  /** The first 64 KiB. */
  readonly stderr: string;
}

export interface StreamedProcess {
  /** Standard output as it comes. Not reading it pauses the program. */
  readonly stdout: AsyncIterable<Buffer>;
  /** Settles when the program has ended and its output was read. */
  readonly ended: Promise<{ readonly code: number; readonly stderr: string }>;
}

const DEFAULT_TIMEOUT_MS = 600_000;
const DEFAULT_MAX_OUTPUT_BYTES = 268_435_456;
const MAX_ERROR_BYTES = 65_536;

/** Runs a program to its end. An exit code other than 0 is a value; rejects with `not-found` if there is no such program. */
export async function runProcess(options: ProcessOptions): Promise<ProcessResult> {
  const { maxOutputBytes = DEFAULT_MAX_OUTPUT_BYTES } = options;
  const stop = new AbortController();
  const { stdout, ended } = streamProcess({ ...options, signal: AbortSignal.any([options.signal, stop.signal]) });
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of stdout) {
      size += chunk.length;
      if (size > maxOutputBytes) stop.abort(tooMuchOutput(options, maxOutputBytes));
      else chunks.push(chunk);
    }
  } catch (error) {
    await ended;
    throw error;
  }
  return { ...(await ended), stdout: Buffer.concat(chunks) };
}

/** Starts a program whose output is too large to keep. */
export function streamProcess(options: ProcessOptions): StreamedProcess {
  const { argv, cwd, env, input, stdin = 'pipe', signal } = options;
  if (signal.aborted) return failed(signal.reason);
  const child = spawn(argv[0], argv.slice(1), {
    cwd,
    env: { ...env },
    stdio: [stdin, 'pipe', 'pipe'],
    windowsHide: true,
  });
  const ended = watch(child, options);
  ended.catch(() => undefined);
  // A program may end without reading all of its input.
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(input);
  // Node throws away what is unread of a program that has ended, unless something reads: here something does, at once.
  return { stdout: child.stdout!.pipe(new PassThrough()), ended };
}

function watch(child: ChildProcess, options: ProcessOptions): StreamedProcess['ended'] {
  const { signal, timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  return new Promise((resolve, reject) => {
    let failure: { readonly reason: unknown } | undefined;
    const errors: Buffer[] = [];
    let errorBytes = 0;
    child.stderr!.on('data', (chunk: Buffer) => {
      if (errorBytes < MAX_ERROR_BYTES) errors.push(chunk.subarray(0, MAX_ERROR_BYTES - errorBytes));
      errorBytes += chunk.length;
    });
    const end = (reason: unknown) => {
      failure ??= { reason };
      child.kill('SIGKILL');
    };
    const abort = () => end(signal.reason);
    const timer = setTimeout(() => end(timedOut(options, timeoutMs)), timeoutMs);
    const settle = (code: number | null) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
      if (failure) reject(failure.reason);
      else resolve({ code: code ?? -1, stderr: Buffer.concat(errors).toString() });
    };
    signal.addEventListener('abort', abort, { once: true });
    child.on('error', error => {
      failure ??= { reason: cannotStart(options, error) };
      if (child.pid === undefined) settle(-1);
    });
    child.on('close', settle);
  });
}

function failed(reason: unknown): StreamedProcess {
  const ended = Promise.reject(reason);
  ended.catch(() => undefined);
  // biome-ignore lint/correctness/useYield: it has nothing to give, only a reason why
  const stdout = (async function* (): AsyncIterable<Buffer> {
    throw reason;
  })();
  return { stdout, ended };
}

function cannotStart({ argv, cwd }: ProcessOptions, error: NodeJS.ErrnoException): CiError {
  const code = error.code === 'ENOENT' ? 'not-found' : 'forbidden';
  return new CiError(code, `Cannot run program in ${cwd} as it could not be started: ${quote(argv[0])}`, {
    cause: error,
  });
}

function timedOut({ argv }: ProcessOptions, timeoutMs: number): DeadlineExceeded {
  return new DeadlineExceeded(`Killed ${argv.slice(0, 2).join(' ')} as it ran longer than ${timeoutMs} ms`);
}

function tooMuchOutput({ argv }: ProcessOptions, limit: number): CiError {
  return new CiError('too-large', `Cannot run ${argv.slice(0, 2).join(' ')} as it printed more than ${limit} bytes`);
}
