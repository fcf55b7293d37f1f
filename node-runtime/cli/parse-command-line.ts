import { parseArgs } from 'node:util';
import { CiError } from '../../shared/errors.ts';
import { quote } from '../../shared/ids.ts';
import { count } from '../../shared/amounts.ts';
import type { Command, Input, OptionTable } from './command.ts';
import type { Environment } from './environment.ts';
import { nearest } from '../../shared/nearest.ts';
import { readOptionValue, readVariable } from './option-value.ts';

export type CommandLine =
  | { readonly kind: 'version' }
  /** `about` is what help is wanted for: a command, or words that begin some; empty for all. */
  | { readonly kind: 'help'; readonly about: string }
  | { readonly kind: 'command'; readonly command: Command; readonly input: Input };

/** Finds the command; its options come from the line, then from variables, then from their defaults. */
export function parseCommandLine(
  argv: readonly string[],
  commands: readonly Command[],
  variables: Environment['variables'],
): CommandLine {
  const [first] = argv;
  if (first === undefined || first === '--help' || first === '-h') return { kind: 'help', about: '' };
  if (first === '--version' || first === '-V') return { kind: 'version' };
  if (first.startsWith('-'))
    throw new CiError('invalid', `Cannot understand ${quote(first)} as the command comes first`);
  if (isGroup(first, commands) && isHelp(argv[1])) return { kind: 'help', about: first };
  const command = findCommand(argv, commands);
  const words = argv.slice(command.name.split(' ').length);
  if (asksForHelp(words)) return { kind: 'help', about: command.name };
  return { kind: 'command', command, input: parseInput(command, words, variables) };
}

/** The command that the first two words name, or the first one. */
function findCommand(argv: readonly string[], commands: readonly Command[]): Command {
  const [first = '', second = ''] = argv;
  const find = (name: string) => commands.find(command => command.name === name);
  const found = find(`${first} ${second}`) ?? find(first);
  if (found) return found;
  if (isGroup(first, commands) && (second === '' || second.startsWith('-'))) {
    const below = commands.filter(command => command.name.startsWith(`${first} `)).map(command => command.name);
    throw new CiError('invalid', `Cannot run "${first}" alone as it is one of: ${below.join(', ')}`);
  }
  const wanted = isGroup(first, commands) ? `${first} ${second}` : first;
  const visible = commands.filter(command => !command.hidden).flatMap(({ name }) => [name, name.split(' ')[0]!]);
  const meant = OTHER_WORDS.get(wanted);
  const near = visible.find(name => name === meant) ?? nearest(wanted, visible);
  throw new CiError('invalid', `Cannot find command ${quote(wanted)}${suggestion(near)}`);
}

/** What people type who know other programs. */
const OTHER_WORDS: ReadonlyMap<string, string> = new Map([
  ['list', 'tasks'],
  ['ls', 'tasks'],
  ['ps', 'tasks'],
  ['show', 'task'],
  ['status', 'task'],
  ['exec', 'run'],
  ['stop', 'cancel'],
  ['kill', 'cancel'],
  ['rerun', 'retry'],
  ['server', 'node'],
  ['agent', 'node'],
]);

/** Whether commands of two words begin with this one. */
function isGroup(word: string, commands: readonly Command[]): boolean {
  return commands.some(command => command.name.startsWith(`${word} `));
}

function parseInput(command: Command, words: readonly string[], variables: Environment['variables']): Input {
  const { tokens } = parseArgs({
    args: [...words],
    options: parseArgsOptions(command.options),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const given = new Map<string, string[]>();
  const positionals: string[] = [];
  let rest: string[] | undefined;
  for (const token of tokens) {
    if (token.kind === 'option-terminator') rest = [];
    else if (token.kind === 'positional') (rest ?? positionals).push(token.value);
    else addOption(command, token, given);
  }
  checkArguments(command, positionals, rest);
  return { options: readOptions(command, given, variables), arguments: positionals, rest };
}

function parseArgsOptions(table: OptionTable) {
  return Object.fromEntries(
    Object.entries(table).map(([name, { kind, short }]) => [
      name,
      { type: kind === 'flag' ? ('boolean' as const) : ('string' as const), ...(short && { short }) },
    ]),
  );
}

interface OptionToken {
  readonly name: string;
  readonly rawName: string;
  readonly value: string | undefined;
  readonly inlineValue: boolean | undefined;
}

function addOption(
  command: Command,
  { name, rawName, value, inlineValue }: OptionToken,
  given: Map<string, string[]>,
): void {
  const spec = Object.hasOwn(command.options, name) ? command.options[name] : undefined;
  const refuse = (why: string) => new CiError('invalid', `Cannot run \`${command.name}\` as ${why}`);
  if (!spec) {
    const near = nearest(name, Object.keys(command.options));
    throw refuse(`it has no option ${rawName}${suggestion(near && `--${near}`)}`);
  }
  if (spec.kind === 'flag' && value !== undefined) throw refuse(`--${name} takes no value: ${quote(value)}`);
  if (spec.kind !== 'flag' && value === undefined) throw refuse(`--${name} needs a value`);
  // What a variable that is not set leaves of it: `--etcd "$ETCD"`.
  if (spec.kind === 'text' && value === '') throw refuse(`--${name} needs a value, and got an empty one`);
  if (!inlineValue && value?.startsWith('-') && value !== '-')
    throw refuse(`--${name} needs a value: write --${name}=${value} if that is it`);
  given.set(name, [...(given.get(name) ?? []), value ?? 'true']);
}

function readOptions(
  command: Command,
  given: ReadonlyMap<string, readonly string[]>,
  variables: Environment['variables'],
): Input['options'] {
  const values: Record<string, unknown> = {};
  for (const [name, spec] of Object.entries(command.options)) {
    const words = given.get(name);
    const variable = spec.env && variables[spec.env];
    if (words) values[name] = readOptionValue(spec, words, `--${name}`);
    else if (spec.env && variable) values[name] = readVariable(spec, variable, spec.env);
    else if (spec.required) throw new CiError('invalid', `Cannot run \`${command.name}\` without --${name}`);
    else values[name] = readOptionValue(spec, undefined, `--${name}`);
  }
  return values as Input['options'];
}

function checkArguments(command: Command, positionals: readonly string[], rest: readonly string[] | undefined): void {
  const wanted = command.arguments ?? [];
  const refuse = (why: string) => new CiError('invalid', `Cannot run \`${command.name}\` ${why}`);
  const missing = wanted.slice(positionals.length).find(argument => !argument.optional);
  if (missing) throw refuse(`without ${missing.name}`);
  const extra = positionals[wanted.length];
  if (extra !== undefined) {
    const advice = command.rest ? '; a command goes after --' : '';
    throw refuse(`with ${quote(extra)} as it takes ${count(wanted.length, 'argument')} at most${advice}`);
  }
  if (rest && !command.rest) throw refuse('with -- as nothing may follow it');
  positionals.forEach((word, i) => {
    const choices = wanted[i]?.choices;
    if (choices && !choices.includes(word))
      throw refuse(`with ${quote(word)} as ${wanted[i]!.name} is one of ${choices.join(', ')}`);
  });
}

/** `--help` counts only before a `--`: what follows that belongs to somebody else. */
function asksForHelp(words: readonly string[]): boolean {
  const end = words.indexOf('--');
  const own = end < 0 ? words : words.slice(0, end);
  return own.some(isHelp);
}

function isHelp(word: string | undefined): boolean {
  return word === '--help' || word === '-h';
}

function suggestion(word: string | undefined): string {
  return word ? `; did you mean ${word}?` : '';
}
