import type { CliContext } from './context.ts';
import type { ExitCode } from './exit-codes.ts';

/**
 * A command as data: from it come parsing, help and shell completion. `run` imports what it needs when it is called, so that
 * a table of all commands costs nothing to load.
 */
export interface Command<Options extends OptionTable = OptionTable> {
  /** What people type, such as `run` or `token create`. */
  readonly name: string;
  /** One line, without a full stop. */
  readonly summary: string;
  /** What else there is to know: paragraphs separated by empty lines. */
  readonly description?: string;
  readonly arguments?: readonly ArgumentSpec[];
  /** What may follow `--`; absent when nothing may. */
  readonly rest?: { readonly name: string; readonly summary: string };
  readonly options: Options;
  readonly examples: readonly Example[];
  /** Works, but is not for people. */
  readonly hidden?: true;
  run(context: CliContext, input: Input<Options>): Promise<ExitCode>;
}

interface ArgumentSpec {
  /** In capitals, as in the usage line. */
  readonly name: string;
  readonly summary: string;
  readonly optional?: true;
  /** Words it may be, if they are known. */
  readonly choices?: readonly string[];
}

interface Example {
  readonly what: string;
  /** Without the program's name. */
  readonly line: string;
}

export interface OptionSpec {
  /** `flag`: no value. `list`: may be given again. `duration`: as in a task file, read as milliseconds. */
  readonly kind: 'flag' | 'text' | 'list' | 'number' | 'duration' | 'choice';
  readonly short?: string;
  /** What stands for the value in help, such as FILE. */
  readonly value?: string;
  readonly summary: string;
  /** The variable that is read when the option is not given. A list is separated by commas there. */
  readonly env?: string;
  readonly default?: string | number;
  readonly required?: true;
  readonly choices?: readonly string[];
  readonly min?: number;
  readonly max?: number;
  /** Options that many commands share are shown apart. */
  readonly group?: 'connection' | 'output';
}

/** By long name, without the dashes. */
export type OptionTable = Readonly<Record<string, OptionSpec>>;

export interface Input<Options extends OptionTable = OptionTable> {
  readonly options: { readonly [Name in keyof Options]: OptionValue<Options[Name]> };
  readonly arguments: readonly string[];
  /** What followed `--`; undefined if there was no `--`. */
  readonly rest: readonly string[] | undefined;
}

type OptionValue<Spec extends OptionSpec> = Spec extends { kind: 'flag' }
  ? boolean
  : Spec extends { kind: 'list' }
    ? readonly string[]
    :
        | (Spec extends { default: unknown } | { required: true } ? never : undefined)
        | (Spec extends { kind: 'number' | 'duration' }
            ? number
            : Spec extends { kind: 'choice'; choices: readonly (infer Choice)[] }
              ? Choice
              : string);

/** Lets a command's `run` know the types of its own options. */
export function defineCommand<const Options extends OptionTable>(command: Command<Options>): Command {
  return command as unknown as Command;
}
