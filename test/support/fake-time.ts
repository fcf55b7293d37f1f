import { existsSync } from 'node:fs';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Where Debian and Ubuntu put it; the triplet is that of the machine. */
const LIBRARIES = ['x86_64-linux-gnu', 'aarch64-linux-gnu'].map(
  triplet => `/usr/lib/${triplet}/faketime/libfaketimeMT.so.1`,
);

/** Why clocks cannot be set here; undefined when they can. */
export function whyNoFakeTime(): string | undefined {
  return LIBRARIES.some(existsSync) ? undefined : 'libfaketime is not installed (Debian: apt-get install libfaketime)';
}

/**
 * The calendar of one machine, as its node and its supervisor see it; nobody else does. What counts the time since the start of
 * the machine is left alone, as setting a clock leaves it alone.
 */
export class FakeTime {
  /** A command that becomes the program given to it. */
  readonly command: string;
  readonly #file: string;

  private constructor(folder: string) {
    this.command = join(folder, 'with-fake-time');
    this.#file = join(folder, 'fake-time');
  }

  /** @param program what nodes start as their supervisor: Node itself */
  static async prepare(folder: string, program: string): Promise<FakeTime> {
    const time = new FakeTime(folder);
    await time.set(0);
    const supervisor = join(folder, 'supervisor-with-fake-time');
    const preload = join(folder, 'name-supervisor.mjs');
    // A node starts its supervisor with an environment of its own making: the program that it takes for itself brings this one.
    await writeFile(preload, `process.execPath = ${JSON.stringify(supervisor)};\n`);
    await writeScript(supervisor, `exec env ${time.#environment()} ${quoted(program)} "$@"`);
    await writeScript(
      time.command,
      `exec env ${time.#environment()} NODE_OPTIONS=--import=${quoted(`file://${preload}`)} "$@"`,
    );
    return time;
  }

  /** From now on the calendar is so far from the real one. */
  async set(seconds: number): Promise<void> {
    await writeFile(this.#file, `${seconds < 0 ? '' : '+'}${seconds}\n`);
  }

  #environment(): string {
    const library = LIBRARIES.find(existsSync) ?? '';
    return [
      `LD_PRELOAD=${library}`,
      `FAKETIME_TIMESTAMP_FILE=${quoted(this.#file)}`,
      // Read anew each time, so that both processes see it set at the same moment.
      'FAKETIME_NO_CACHE=1',
      'FAKETIME_DONT_FAKE_MONOTONIC=1',
      'FAKETIME_DONT_RESET=1',
    ].join(' ');
  }
}

async function writeScript(path: string, text: string): Promise<void> {
  await writeFile(path, `#!/bin/sh\n${text}\n`);
  await chmod(path, 0o755);
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
