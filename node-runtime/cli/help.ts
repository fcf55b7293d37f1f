import { CiError } from '../../shared/errors.ts';
import { quote } from '../../shared/ids.ts';
import type { Command, OptionSpec } from './command.ts';
import { nearest } from '../../shared/nearest.ts';
import type { Style } from './style.ts';
import { textWidth, wrap } from './text-width.ts';

export interface HelpLayout {
  readonly style: Style;
  /** Columns to keep to. */
  readonly width: number;
  /** How the program is called in examples. */
  readonly program: string;
}

/** Help about one command, about those that begin with a word, or about all. */
export function formatHelp(about: string, commands: readonly Command[], layout: HelpLayout): string {
  const visible = commands.filter(command => !command.hidden);
  if (about === '') return overview(visible, layout);
  const command = commands.find(one => one.name === about);
  if (command) return commandHelp(command, layout);
  const below = visible.filter(one => one.name.startsWith(`${about} `));
  if (below.length > 0) return groupHelp(about, below, layout);
  const near = nearest(
    about,
    visible.map(one => one.name),
  );
  throw new CiError('invalid', `Cannot find command ${quote(about)}${near ? `; did you mean ${near}?` : ''}`);
}

function overview(commands: readonly Command[], layout: HelpLayout): string {
  const { style, program } = layout;
  return [
    `${style.bold('Simple CI')} runs tasks on any node of a cluster, and shows their logs live.`,
    '',
    `${style.bold('Usage:')} ${program} COMMAND [options]`,
    '',
    style.bold('Commands:'),
    ...pairs(
      commands.map(one => [one.name, one.summary]),
      layout,
    ),
    '',
    style.bold('Examples:'),
    ...examples(
      [
        { what: 'Run a command on your workspace as it is now, with nothing set up', line: 'run -- npm test' },
        { what: 'Form or join a cluster', line: 'node --cluster acme/ci --etcd http://etcd:2379 --s3 s3://ci' },
      ],
      layout,
    ),
    '',
    `${program} help COMMAND says more about one. Every command knows --json.`,
  ].join('\n');
}

function groupHelp(about: string, commands: readonly Command[], layout: HelpLayout): string {
  return [
    `${layout.style.bold('Usage:')} ${layout.program} ${about} COMMAND [options]`,
    '',
    layout.style.bold('Commands:'),
    ...pairs(
      commands.map(one => [one.name, one.summary]),
      layout,
    ),
  ].join('\n');
}

function commandHelp(command: Command, layout: HelpLayout): string {
  const { style } = layout;
  const about = [
    ...(command.arguments ?? []).map(one => [one.name, one.summary] as const),
    ...(command.rest ? [[`-- ${command.rest.name}`, command.rest.summary] as const] : []),
  ];
  const sections = [
    wrap(`${style.bold(command.name)}: ${command.summary}.`, layout.width).join('\n'),
    ...(command.description?.split('\n\n').map(text => wrap(text, layout.width).join('\n')) ?? []),
    `${style.bold('Usage:')} ${layout.program} ${usageOf(command)}`,
    section('Arguments:', about, layout),
    optionSection('Options:', undefined, command, layout),
    optionSection('Which cluster:', 'connection', command, layout),
    optionSection('Output:', 'output', command, layout),
    [style.bold('Examples:'), ...examples(command.examples, layout)].join('\n'),
  ];
  return sections.filter(text => text !== undefined).join('\n\n');
}

/** `logs ID [options]`: the usage line without the program's name. */
export function usageOf(command: Command): string {
  const words = (command.arguments ?? []).map(({ name, optional }) => (optional ? `[${name}]` : name));
  const rest = command.rest ? [`[-- ${command.rest.name}]`] : [];
  return [command.name, ...words, '[options]', ...rest].join(' ');
}

function optionSection(
  title: string,
  group: OptionSpec['group'],
  command: Command,
  layout: HelpLayout,
): string | undefined {
  const options = Object.entries(command.options).filter(([, spec]) => spec.group === group);
  const rows = options.map(([name, spec]) => [optionWords(name, spec), optionSummary(spec)] as const);
  return section(title, group === 'output' ? [...rows, ['-h, --help', 'Show this.']] : rows, layout);
}

function optionWords(name: string, spec: OptionSpec): string {
  const short = spec.short ? `-${spec.short}, ` : '    ';
  return `${short}--${name}${spec.kind === 'flag' ? '' : ` ${spec.value ?? name.toUpperCase()}`}`;
}

function optionSummary({ summary, choices, default: value, env, required, kind }: OptionSpec): string {
  const notes = [
    ...(required ? ['required'] : []),
    ...(choices ? [`one of ${choices.join(', ')}`] : []),
    ...(kind === 'list' ? ['may be repeated'] : []),
    ...(value === undefined ? [] : [`default ${value}`]),
    ...(env ? [`or $${env}`] : []),
  ];
  return `${summary}${notes.length > 0 ? ` (${notes.join('; ')})` : ''}`;
}

function section(title: string, rows: readonly (readonly [string, string])[], layout: HelpLayout): string | undefined {
  return rows.length === 0 ? undefined : [layout.style.bold(title), ...pairs(rows, layout)].join('\n');
}

/** Two columns; the second one is wrapped beside the first, or below it where that is too long. */
function pairs(rows: readonly (readonly [string, string])[], { style, width }: HelpLayout): string[] {
  const left = Math.min(28, Math.max(...rows.map(([word]) => textWidth(word))));
  return rows.flatMap(([word, text]) => {
    const [first = '', ...more] = wrap(text, Math.max(24, width - left - 4));
    const indent = ' '.repeat(left + 4);
    const head = `  ${style.cyan(word)}`;
    const rest = more.map(line => indent + line);
    if (textWidth(word) > left) return [head, indent + first, ...rest];
    return [`${head}${' '.repeat(left - textWidth(word) + 2)}${first}`.trimEnd(), ...rest];
  });
}

function examples(list: Command['examples'], { style, program }: HelpLayout): string[] {
  return list.flatMap(({ what, line }) => [`  ${style.dim(`# ${what}`)}`, `  ${program} ${line}`]);
}
