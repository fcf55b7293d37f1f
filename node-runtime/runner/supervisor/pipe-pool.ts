import { execFile } from 'node:child_process';
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
  readonly #ready: string[] = [];
  #made = 0;
  #making: Promise<void> | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** The path of a pipe that nobody else gets. */
  async take(): Promise<string> {
    for (;;) {
      const path = this.#ready.pop();
      if (this.#ready.length < BATCH / 4) void this.fill().catch(() => undefined);
      if (path !== undefined) return path;
      await this.fill();
    }
  }

  fill(): Promise<void> {
    this.#making ??= this.#make().finally(() => {
      this.#making = undefined;
    });
    return this.#making;
  }

  async #make(): Promise<void> {
    const paths = Array.from({ length: BATCH }, () => join(this.#folder, `pipe-${++this.#made}`));
    await makePipes(paths);
    this.#ready.push(...paths);
  }
}

/** Others may write, since commands run as other users and may open it anew as /dev/stdout; the folder is closed to them. */
function makePipes(paths: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const env = { PATH: SYSTEM_PATH };
    execFile('mkfifo', ['-m', '622', ...paths], { env }, error => (error ? reject(error) : resolve()));
  });
}
