import { constants } from 'node:fs';
import { chmod, copyFile, writeFile } from 'node:fs/promises';
import { shellQuote } from '../workspace/shell-quote.ts';
import { PROGRAM } from './pod-messages.ts';

/** Puts this program where the second container finds it: its image has none. A checkout is started from where it lies. */
export async function installProgram(program: readonly [string, ...string[]], isExecutable: boolean): Promise<void> {
  if (isExecutable) await copyFile(program[0], PROGRAM, constants.COPYFILE_FICLONE);
  else await writeFile(PROGRAM, `#!/bin/sh\nexec ${program.map(shellQuote).join(' ')} "$@"\n`);
  await chmod(PROGRAM, 0o755);
}
