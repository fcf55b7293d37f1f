// `node scripts/run.mjs test/simulation/report.ts [HOURS]`: simulates so many hours and every mutant, and writes what came of it into
// docs/reliability.md, so that no number there is typed.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import { readFromRoot, writeGenerated } from '../../scripts/write-generated.ts';
import { catchMutant } from './catch-mutant.ts';
import { MUTANTS } from './mutants.ts';
import type { Figures } from './totals.ts';

const PAGE = 'docs/reliability.md';
const hours = process.argv[2] ?? '100';

const figures = await simulateHours();
const mutants = [];
for (const mutant of MUTANTS) {
  const caught = await catchMutant(mutant);
  if (!caught) throw new Error(`Cannot report as a mutant survives: ${mutant.name}`);
  mutants.push([mutant.name, caught.invariant, String(caught.seed), mutant.acts?.join(', ') ?? 'chosen by the seed']);
}

let page = await readFromRoot(PAGE);
page = between(page, 'simulated', simulatedTable());
page = between(page, 'faults', table(['fault', 'seeds that had it'], rowsOf(figures.acts)));
page = between(page, 'mutants', table(['mistake', 'broken', 'first seed', 'faults'], mutants));
await writeGenerated(new Map([[PAGE, page]]), []);

async function simulateHours(): Promise<Figures> {
  const main = fileURLToPath(new URL('main.ts', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [main, '--hours', hours, '--json']);
  return JSON.parse(stdout) as Figures;
}

function simulatedTable(): string {
  const { first, seeds, hours: simulated, events, tasks, executions, outcomes, processorSeconds } = figures;
  return table(
    ['', ''],
    [
      ['seeds', `${first} to ${first + seeds - 1}`],
      ['simulated hours', amount(simulated)],
      ['events', amount(events)],
      ['tasks ended', amount(tasks)],
      ...rowsOf(outcomes).map(([outcome, count]) => [`– ${outcome}`, count!]),
      ['task processes run', amount(executions)],
      ['promises broken', '0'],
      ['processor time', `${amount(processorSeconds)} s, one core, Node ${process.version}`],
      ['faster than the clock on the wall', `${amount((simulated * 3600) / processorSeconds)} times`],
    ],
  );
}

function rowsOf(counts: Readonly<Record<string, number>>): string[][] {
  return Object.entries(counts)
    .sort(([one, a], [other, b]) => b - a || (one < other ? -1 : 1))
    .map(([name, count]) => [name, amount(count)]);
}

function between(text: string, name: string, content: string): string {
  const pattern = new RegExp(`(<!-- ${name}: .* -->\n)[^]*?(\n<!-- end -->)`);
  if (!pattern.test(text)) throw new Error(`Cannot write into ${PAGE} as it has no place for "${name}"`);
  return text.replace(pattern, (_whole, begin: string, end: string) => `${begin}\n${content}\n${end}`);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) => Math.max(3, title.length, ...rows.map(row => row[column]!.length)));
  const line = (cells: readonly string[]) => `| ${cells.map((cell, at) => cell.padEnd(widths[at]!)).join(' | ')} |`;
  return [line(head), line(widths.map(width => '-'.repeat(width))), ...rows.map(line)].join('\n');
}

function amount(value: number): string {
  return value.toLocaleString('en', { maximumFractionDigits: 0 });
}
