// Writes the parts of documents that say what the program itself knows: commands, routes, metrics, and of SECURITY.md the table
// of what hostile tasks get, which a test measures. They stand between
// `<!-- generated: NAME -->` and `<!-- end -->`. `node scripts/reference.ts` writes them, `--check` tells whether they are up to date.
import type { Metric, MetricObject } from 'prom-client';
import { usageOf } from '../node-runtime/cli/help.ts';
import type { Command, OptionSpec } from '../node-runtime/cli/command.ts';
import { COMMANDS } from '../node-runtime/cli/command-table.ts';
import { connectionOptions, outputOptions } from '../node-runtime/cli/common-options.ts';
import { createMetrics } from '../node-runtime/system/metrics.ts';
import { type Route, routes } from '../shared/api.ts';
import { MOVES, SETTINGS, type Setting } from '../test/support/hostile-moves.ts';
import { type GeneratedFiles, readFromRoot, writeGenerated } from './write-generated.ts';

type Section = () => string | Promise<string>;

const SECTIONS: Readonly<Record<string, Readonly<Record<string, Section>>>> = {
  'docs/cli.md': { commands: commandReference, 'common options': commonOptions },
  'docs/api.md': { routes: routeTable },
  'docs/operations.md': { metrics: metricsTable },
  'SECURITY.md': { 'hostile tasks': movesTable },
};

export async function referenceFiles(): Promise<GeneratedFiles> {
  const files = new Map<string, string>();
  for (const [path, sections] of Object.entries(SECTIONS)) {
    let text = await readFromRoot(path);
    for (const [name, section] of Object.entries(sections)) text = replaceSection(path, text, name, await section());
    files.set(path, text);
  }
  return files;
}

function replaceSection(path: string, text: string, name: string, content: string): string {
  const begin = `<!-- generated: ${name} -->`;
  const start = text.indexOf(begin);
  const end = text.indexOf('<!-- end -->', start);
  if (start < 0 || end < 0) throw new Error(`${path} lacks ${begin} … <!-- end -->`);
  return `${text.slice(0, start)}${begin}\n\n${content}\n\n${text.slice(end)}`;
}

function commandReference(): string {
  return COMMANDS.filter(command => !command.hidden)
    .map(describeCommand)
    .join('\n\n');
}

function describeCommand(command: Command): string {
  const own = Object.entries(command.options).filter(([, { group }]) => group === undefined);
  const isClient = Object.values(command.options).some(({ group }) => group === 'connection');
  const words = [
    ...(command.arguments ?? []).map(({ name, summary }) => [code(name), `${summary}.`]),
    ...(command.rest ? [[code(`-- ${command.rest.name}`), `${command.rest.summary}.`]] : []),
  ];
  const parts = [
    `### ${command.name}`,
    `${command.summary}.`,
    ...(command.description?.split('\n\n').map(text => text.replace(/\s+/g, ' ')) ?? []),
    block('sh', [`simple-ci ${usageOf(command)}`]),
    ...(words.length > 0 ? [table(['argument', 'meaning'], words)] : []),
    ...(own.length > 0 ? [optionTable(own)] : []),
    ...(isClient ? ['Also the options that [say which cluster](#which-cluster).'] : []),
    block(
      'sh',
      command.examples.flatMap(({ what, line }) => [`# ${what}`, `simple-ci ${line}`]),
    ),
  ];
  return parts.join('\n\n');
}

function commonOptions(): string {
  return optionTable(Object.entries({ ...connectionOptions, ...outputOptions }));
}

function optionTable(options: readonly (readonly [string, OptionSpec])[]): string {
  const rows = options.map(([name, spec]) => [
    code(
      `${spec.short ? `-${spec.short}, ` : ''}--${name}${spec.kind === 'flag' ? '' : ` ${placeholder(name, spec)}`}`,
    ),
    `${spec.summary}.${notesOf(spec)}`,
    spec.default === undefined ? '' : code(String(spec.default)),
    spec.env ? code(spec.env) : '',
  ]);
  return table(['option', 'meaning', 'default', 'variable'], rows);
}

function placeholder(name: string, { value }: OptionSpec): string {
  return value ?? name.toUpperCase();
}

function notesOf({ required, choices, kind }: OptionSpec): string {
  const notes = [
    ...(required ? ['Required.'] : []),
    ...(choices ? [`One of ${choices.map(code).join(', ')}.`] : []),
    ...(kind === 'list' ? ['May be repeated.'] : []),
  ];
  return notes.map(note => ` ${note}`).join('');
}

function routeTable(): string {
  const rows = Object.values<Route>(routes).map(({ method, path, access, summary }) => [
    method,
    code(path),
    access,
    summary,
  ]);
  return table(['method', 'path', 'role', 'what it does'], rows);
}

async function metricsTable(): Promise<string> {
  const { registry } = createMetrics({
    version: '',
    node: '',
    slots: { total: 0, used: 0 },
    leaseAgeMs: () => undefined,
    claimPauseMs: () => 0,
    logLagMs: () => 0,
    demand: async () => new Map(),
  });
  const rows = registry.getMetricsAsArray().map(metric => {
    const { name, help, type, labelNames = [] } = metric as Metric & MetricObject & { labelNames?: string[] };
    return [code(name), String(type), labelNames.map(code).join(', '), `${help}.`];
  });
  return table(['name', 'type', 'labels', 'what it counts'], rows);
}

function movesTable(): string {
  const settings = Object.keys(SETTINGS) as Setting[];
  const rows = MOVES.map(({ what, succeeds }) => [
    what,
    ...settings.map(setting => (succeeds.includes(setting) ? '**succeeds**' : 'held')),
  ]);
  return table(['a task tries to', ...Object.values(SETTINGS)], rows);
}

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const used = (_: string, at: number) => rows.some(row => row[at] !== '');
  const cells = [heads, ...rows].map(row => row.filter(used).map(cell => cell.replaceAll('|', '\\|')));
  const widths = heads.filter(used).map((_, at) => Math.max(3, ...cells.map(row => row[at]?.length ?? 0)));
  const line = (row: readonly string[]) => `| ${row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(' | ')} |`;
  const [head = [], ...body] = cells;
  return [line(head), line(widths.map(width => '-'.repeat(width))), ...body.map(line)].join('\n');
}

function code(text: string): string {
  return `\`${text}\``;
}

function block(language: string, lines: readonly string[]): string {
  return ['```'.concat(language), ...lines, '```'].join('\n');
}

if (import.meta.main) await writeGenerated(await referenceFiles(), process.argv);
