import { CiError } from '../../shared/errors.ts';
import type { TaskBody } from '../../shared/task.ts';
import { shellCommand } from './shell-quote.ts';

/**
 * The task of `simple-ci run -- COMMAND…`: every argument reaches the program byte for byte.
 * @param subdirectory where the command was typed, relative to the workspace
 */
export function taskOfCommand(argv: readonly string[], subdirectory = ''): TaskBody {
  if (argv.length === 0 || argv[0] === '')
    throw new CiError('invalid', 'Cannot run a command as there is none after --');
  return {
    name: nameOf(argv),
    steps: [{ ...(isScript(argv) && { name: nameOf(argv) }), run: shellCommand(argv), shell: 'sh' }],
    ...(subdirectory !== '' && { workingDirectory: subdirectory }),
  };
}

/** `sh -c SCRIPT`: the script says what it is about. */
function isScript([shell = '', option, script, ...more]: readonly string[]): boolean {
  return /^(ba|da|z)?sh$/.test(shell) && option === '-c' && script !== undefined && more.length === 0;
}

/** What people read in lists. */
function nameOf(argv: readonly string[]): string {
  const words = isScript(argv) ? argv.slice(2) : argv;
  const line =
    words
      .join(' ')
      .replace(/[\u0000-\u001f\u007f]+/g, ' ')
      .trim() || 'command';
  return line.length > 100 ? `${line.slice(0, 99)}…` : line;
}
