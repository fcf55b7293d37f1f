import { once } from 'node:events';
import type { ReadStream, WriteStream } from 'node:tty';
import { type Environment, wantsColours } from './environment.ts';
import { makeStyle, type Style } from './style.ts';

/**
 * Where a command talks. Standard output has what was asked for and nothing else; what is said on the way goes to standard
 * error, so that `simple-ci run > log.txt` keeps the log alone.
 */
export interface Terminal {
  /** One line, or several, of what was asked for. */
  print(line: string): void;
  /** Bytes of what was asked for, exactly. Resolves when there is room for more. */
  write(bytes: Uint8Array | string): Promise<void>;
  /** One line for people. */
  say(line: string): void;
  /** A line that the next one replaces, on a terminal only; undefined takes it away. */
  status(line: string | undefined): void;
  /** Of standard output. */
  readonly style: Style;
  /** Of standard error. */
  readonly sayStyle: Style;
  /** Whether standard output gets colours. */
  readonly hasColours: boolean;
  /** Columns and rows of standard output now; undefined when it is no terminal. */
  readonly columns: number | undefined;
  readonly rows: number | undefined;
  /** Whether standard error is a terminal: if not, there are no status lines to see. */
  readonly showsStatus: boolean;
  /** Whether there is somebody to answer: standard input and error are terminals. */
  readonly canAsk: boolean;
  /** The answer, without its line break; `hidden` does not show it while it is typed. Only where `canAsk`. */
  ask(question: string, options: { hidden?: boolean; signal: AbortSignal }): Promise<string>;
  /** All of standard input. */
  readInput(signal: AbortSignal): Promise<string>;
  /** Fires when nobody reads standard output any more (`simple-ci logs ID | head`). */
  readonly closed: AbortSignal;
  /** Resolves when everything has been handed to the system. */
  flush(): Promise<void>;
}

/** Why `closed` fired. */
export class OutputClosed extends Error {
  override readonly name = 'OutputClosed';
}

/** Of a terminal that does not know its size, as in some containers: it says 0. */
const USUAL_COLUMNS = 80;
const USUAL_ROWS = 24;
const CLEAR_LINE = '\r\u001b[K';

export function processTerminal(environment: Environment): Terminal {
  const { stdin, stdout, stderr } = process as { stdin: ReadStream; stdout: WriteStream; stderr: WriteStream };
  const closed = new AbortController();
  let status: string | undefined;
  stdout.on('error', error => closed.abort(new OutputClosed('Standard output was closed', { cause: error })));
  stderr.on('error', () => undefined);

  /** The status line gives way to what is printed and comes back below it. */
  const around = (write: () => void) => {
    if (status !== undefined) stderr.write(CLEAR_LINE);
    write();
    if (status !== undefined) stderr.write(status);
  };
  const printed = (data: Uint8Array | string) => {
    let isRoom = true;
    if (!closed.signal.aborted) around(() => (isRoom = stdout.write(data)));
    return isRoom;
  };

  return {
    print: line => void printed(`${line}\n`),
    write: async bytes => {
      if (bytes.length > 0 && !printed(bytes) && !closed.signal.aborted) await drained(stdout, closed.signal);
    },
    say: line => around(() => stderr.write(`${line}\n`)),
    status: line => {
      if (!stderr.isTTY || line === status) return;
      if (status !== undefined) stderr.write(CLEAR_LINE);
      status = line?.slice(0, (stderr.columns || USUAL_COLUMNS) - 1);
      if (status !== undefined) stderr.write(status);
    },
    style: makeStyle(wantsColours(environment.variables, stdout.isTTY)),
    sayStyle: makeStyle(wantsColours(environment.variables, stderr.isTTY)),
    hasColours: wantsColours(environment.variables, stdout.isTTY),
    get columns() {
      return stdout.isTTY ? stdout.columns || USUAL_COLUMNS : undefined;
    },
    get rows() {
      return stdout.isTTY ? stdout.rows || USUAL_ROWS : undefined;
    },
    showsStatus: Boolean(stderr.isTTY),
    canAsk: Boolean(stdin.isTTY && stderr.isTTY),
    ask: (question, { hidden = false, signal }) => ask(stdin, stderr, question, hidden, signal),
    readInput: async signal => {
      const chunks: Buffer[] = [];
      for await (const chunk of stdin.iterator({ destroyOnReturn: true })) {
        signal.throwIfAborted();
        chunks.push(chunk as Buffer);
      }
      return Buffer.concat(chunks).toString('utf8');
    },
    closed: closed.signal,
    flush: async () => {
      await Promise.all([stdout, stderr].map(stream => flushed(stream, closed.signal)));
    },
  };
}

async function drained(stream: WriteStream, signal: AbortSignal): Promise<void> {
  await once(stream, 'drain', { signal }).catch(() => undefined);
}

function flushed(stream: WriteStream, closed: AbortSignal): Promise<void> {
  if (closed.aborted || stream.destroyed) return Promise.resolve();
  return new Promise(resolve => {
    closed.addEventListener('abort', () => resolve(), { once: true });
    stream.write('', () => resolve());
  });
}

async function ask(
  input: ReadStream,
  output: WriteStream,
  question: string,
  hidden: boolean,
  signal: AbortSignal,
): Promise<string> {
  const { createInterface } = await import('node:readline/promises');
  const { Writable } = await import('node:stream');
  output.write(question);
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input, output: hidden ? silent : output, terminal: true });
  // While it reads keys, the terminal sends no signal for Ctrl-C.
  lines.on('SIGINT', () => process.emit('SIGINT'));
  // Ctrl-D: no answer, which readline tells of as an error.
  const closed = once(lines, 'close').then(() => '');
  const answer = lines.question('', { signal }).catch((error: unknown) => {
    if (signal.aborted) throw error;
    return '';
  });
  try {
    return await Promise.race([answer, closed]);
  } finally {
    lines.close();
    if (hidden) output.write('\n');
  }
}
