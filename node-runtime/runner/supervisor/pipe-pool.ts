import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { SYSTEM_PATH } from '../system-path.ts';

/** How many named pipes are made at a time: starting a program for it costs as much as starting a command. */
const BATCH = 64;

/**
 * Named pipes for the output of commands, each for one command. Commands want a real pipe (`echo > /dev/stderr` does not work
 * on a socket), and with a name the node can read it without the supervisor in between.
 */
export class PipePool {
  readonly #folder: string;
  readonly #ready: string[];
  #made: number;
  #making: Promise<void> | undefined;

  /** @param first the pipes that are in the folder already */
  constructor(folder: string, first: readonly string[]) {
    this.#folder = folder;
    this.#ready = [...first];
    this.#made = first.length;
  }

  /** The path of a pipe that nobody else gets. */
  async take(): Promise<string> {
    for (;;) {
      const path = this.#ready.pop();
      if (this.#ready.length < BATCH / 4) void this.#fill().catch(() => undefined);
      if (path !== undefined) return path;
      await this.#fill();
    }
  }

  #fill(): Promise<void> {
    this.#making ??= this.#make().finally(() => {
      this.#making = undefined;
    });
    return this.#making;
  }

  async #make(): Promise<void> {
    const paths = await makePipes(this.#folder, this.#made);
    this.#made += BATCH;
    this.#ready.push(...paths);
  }
}

/** The first pipes of a pool, in a folder of their own in that one. */
export async function makeFirstPipes(folder: string): Promise<readonly string[]> {
  const pipes = pipeFolder(folder);
  await mkdir(pipes, { mode: 0o700 });
  return makePipes(pipes, 0);
}

export function pipeFolder(folder: string): string {
  return join(folder, 'pipes');
}

/** Others may write, since commands run as other users and may open it anew as /dev/stdout; the folder is closed to them. */
function makePipes(folder: string, made: number): Promise<readonly string[]> {
  const paths = Array.from({ length: BATCH }, (_, index) => join(folder, `pipe-${made + index + 1}`));
  return new Promise((resolve, reject) => {
    const env = { PATH: SYSTEM_PATH };
    execFile('mkfifo', ['-m', '622', ...paths], { env }, error => (error ? reject(error) : resolve(paths)));
  });
}
