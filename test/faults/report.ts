// `node scripts/run.mjs test/faults/report.ts [--many FILE]… [--requeue FILE] [--outage FILE] [--alone FILE] [--machine FILE]`: writes into
// docs/reliability.md what `npm run chaos -- … --json` has printed, so that no number there is typed. A file is a run; several of one
// kind are taken together.
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { readFromRoot, writeGenerated } from '../../scripts/write-generated.ts';
import type { Figure } from '../bench/figures.ts';
import { amount, markdownTable, replaceSection } from '../support/page-section.ts';
import type { FaultCost } from './chaos-figures.ts';
import { type ChaosResult, together } from './together.ts';

const PAGE = 'docs/reliability.md';
const PROMISES = ['tasks acknowledged', 'tasks lost', 'tasks completed twice', 'promises broken'];

/** What is told of which runs. */
const SECTIONS: Readonly<Record<string, (result: Omit<ChaosResult, 'command'>) => string>> = {
  many: ({ figures }) => figureTable(figures.filter(({ name }) => !/: |^requeue|^–/.test(name))),
  requeue: ({ figures }) => figureTable(withPromises(figures, /^requeue|^–|handed back|^nodes killed|^longest/)),
  outage: ({ figures }) => figureTable(withPromises(figures, /10 minutes: /)),
  alone: withCosts,
  machine: withCosts,
};

const file = { type: 'string', multiple: true } as const;
const { values } = parseArgs({ options: { many: file, requeue: file, outage: file, alone: file, machine: file } });
let page = await readFromRoot(PAGE);
for (const [name, files] of Object.entries(values)) {
  const results = await Promise.all(files.map(readResult));
  const commands = results.map(({ command, commit, machineLoad }) => `- \`${command}\`${where(commit, machineLoad)}`);
  const all = together(results);
  page = replaceSection(page, name, [...commands, ...untested(all), '', SECTIONS[name]!(all)].join('\n'));
}
await writeGenerated(new Map([[PAGE, page]]), []);

/** The last line: npm has its say before it. */
async function readResult(path: string): Promise<ChaosResult> {
  const lines = (await readFile(path, 'utf8')).trim().split('\n');
  return JSON.parse(lines.at(-1)!) as ChaosResult;
}

function where(commit: string | undefined, machineLoad: number | undefined): string {
  const cores = availableParallelism();
  const load = machineLoad === undefined ? [] : [`${machineLoad.toFixed(0)} processes wanted to run on ${cores} cores`];
  const known = [...(commit === undefined ? [] : [`at ${commit}`]), ...load];
  return known.length === 0 ? '' : ` (${known.join('; ')})`;
}

/** What the page must not be taken to show. */
function untested({ neverStruck = [], leftOut = [] }: Omit<ChaosResult, 'command'>): string[] {
  const reasons = Map.groupBy(leftOut, ({ why }) => why);
  return [
    ...(neverStruck.length > 0 ? ['', `There, and hurt nobody: ${neverStruck.join('; ')}.`] : []),
    ...[...reasons].flatMap(([why, some]) => [
      '',
      `Left out, as ${why}: ${some.map(each => each.nemesis).join('; ')}.`,
    ]),
  ];
}

function withCosts({ figures, faults }: Omit<ChaosResult, 'command'>): string {
  return `${figureTable(withPromises(figures, /^longest/))}\n\n${costTable(faults)}`;
}

function withPromises(figures: readonly Figure[], wanted: RegExp): Figure[] {
  return figures.filter(({ name }) => PROMISES.includes(name) || wanted.test(name));
}

function figureTable(figures: readonly Figure[]): string {
  const rows = figures.map(({ name, value, unit, aim, met }) => [
    name,
    `${amount(value)} ${unit}`,
    aim ?? '',
    met === null ? '' : met ? 'met' : '**missed**',
  ]);
  return markdownTable(['', '', 'aim', ''], rows);
}

/** The longest first. */
function costTable(faults: readonly FaultCost[]): string {
  const rows = faults
    .toSorted((a, b) => b.recoverySeconds - a.recoverySeconds)
    .map(({ nemesis, times, recoverySeconds }) => [nemesis, String(times), `${amount(recoverySeconds)} s`]);
  return markdownTable(['fault', 'times', 'until a new task was done'], rows);
}
