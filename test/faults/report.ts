// `node scripts/run.mjs test/faults/report.ts [--many FILE] [--requeue FILE] [--outage FILE] [--alone FILE]`: writes into
// docs/reliability.md what `npm run chaos -- … --json` has printed, so that no number there is typed. Each file is one run.
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { readFromRoot, writeGenerated } from '../../scripts/write-generated.ts';
import type { BenchResult, Figure } from '../bench/figures.ts';
import { amount, markdownTable, replaceSection } from '../support/page-section.ts';
import type { FaultCost } from './chaos-figures.ts';

interface ChaosResult extends BenchResult {
  readonly command: string;
  readonly node: string;
  readonly faults: readonly FaultCost[];
}

const PAGE = 'docs/reliability.md';
const PROMISES = ['tasks acknowledged', 'tasks lost', 'tasks completed twice', 'promises broken'];

/** What is told of which run. */
const SECTIONS: Readonly<Record<string, (result: ChaosResult) => string>> = {
  many: ({ figures }) => figureTable(figures.filter(({ name }) => !name.startsWith('recovery'))),
  requeue: ({ figures }) => figureTable(withPromises(figures, /^requeue|handed back|^nodes killed|^longest log loss/)),
  outage: ({ figures }) => figureTable(withPromises(figures, /10 minutes: /)),
  alone: ({ figures, faults }) => `${figureTable(withPromises(figures, /log loss/))}\n\n${costTable(faults)}`,
};

const names = Object.keys(SECTIONS);
const { values } = parseArgs({ options: Object.fromEntries(names.map(name => [name, { type: 'string' as const }])) });
let page = await readFromRoot(PAGE);
for (const [name, file] of Object.entries(values)) {
  const result = JSON.parse(await readFile(file as string, 'utf8')) as ChaosResult;
  const content = SECTIONS[name]!(result);
  page = replaceSection(page, name, `\`${result.command}\`, Node ${result.node}:\n\n${content}`);
}
await writeGenerated(new Map([[PAGE, page]]), []);

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
