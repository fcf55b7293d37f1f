import { CiError, describeError, isCiError } from '../../shared/errors.ts';
import { COMMANDS } from './command-table.ts';
import type { Command } from './command.ts';
import type { CliContext } from './context.ts';
import { EXIT, type ExitCode, exitCodeOfError } from './exit-codes.ts';
import { Interrupted } from './interrupts.ts';
import { type CommandLine, parseCommandLine } from './parse-command-line.ts';
import { OutputClosed } from './terminal.ts';

export type CliDependencies = Omit<CliContext, 'signal' | 'commands'> & { readonly commands?: readonly Command[] };

/** The whole program but for its process: understands the line, runs the command, says what went wrong. */
export async function runCli(argv: readonly string[], dependencies: CliDependencies): Promise<ExitCode> {
  const { terminal, interrupts } = dependencies;
  const signal = AbortSignal.any([interrupts.signal, terminal.closed]);
  const context: CliContext = { commands: COMMANDS, ...dependencies, signal };
  try {
    return await runLine(understand(argv, context), context);
  } catch (error) {
    return fail(error, context);
  } finally {
    terminal.status(undefined);
  }
}

function understand(argv: readonly string[], { commands, environment }: CliContext): CommandLine {
  try {
    return parseCommandLine(argv, commands, environment.variables);
  } catch (error) {
    if (!isCiError(error)) throw error;
    const about = commands.find(({ name }) => `${argv.join(' ')} `.startsWith(`${name} `));
    const help = `${environment.program} help${about ? ` ${about.name}` : ''}`;
    throw new CiError(error.code, `${error.message}\nTry: ${help}`);
  }
}

function runLine(line: CommandLine, context: CliContext): Promise<ExitCode> {
  if (line.kind === 'command') return line.command.run(context, line.input);
  const name = line.kind === 'version' ? 'version' : 'help';
  const command = context.commands.find(one => one.name === name)!;
  const words = line.kind === 'help' && line.about !== '' ? line.about.split(' ') : [];
  return command.run(context, { options: { json: false } as never, arguments: words, rest: undefined });
}

function fail(error: unknown, { terminal, signal }: CliContext): ExitCode {
  if (signal.aborted && (error === signal.reason || isAbort(error))) return exitCodeOfEnd(signal.reason);
  const message = isCiError(error) ? describeError(error) : `Cannot go on because of a bug: ${stackOf(error)}`;
  terminal.status(undefined);
  terminal.say(`${terminal.sayStyle.red('simple-ci:')} ${message}`);
  return exitCodeOfError(error);
}

/** Nobody reading on is how `simple-ci tasks | head` is meant to end. */
function exitCodeOfEnd(reason: unknown): ExitCode {
  if (reason instanceof OutputClosed) return EXIT.passed;
  return reason instanceof Interrupted ? EXIT.cancelled : EXIT.unavailable;
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError';
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
