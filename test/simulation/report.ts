// `node scripts/run.mjs test/simulation/report.ts [HOURS] [PARTS]`: simulates so many hours and every mutant, PARTS at a time, and
// writes what came of it into docs/reliability.md, so that no number there is typed. `--each-act FILE` writes only what came of
// `npm run simulate -- --each-act --json`, which FILE has.
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { readFromRoot, writeGenerated } from '../../scripts/write-generated.ts';
import { markdownTable as table, replaceSection } from '../support/page-section.ts';
import { catchMutant } from './catch-mutant.ts';
import { MUTANTS } from './mutants.ts';
import { simulateHours } from './simulate-hours.ts';
import { type ActFigures, neverStruck } from './sweep.ts';
import type { Figures } from './totals.ts';

const PAGE = 'docs/reliability.md';
const { values, positionals } = parseArgs({ options: { 'each-act': { type: 'string' } }, allowPositionals: true });
const hours = Number(positionals[0] ?? '100');
const parts = Number(positionals[1] ?? availableParallelism());
if (!(hours > 0 && parts >= 1)) throw new Error('Cannot simulate as HOURS and PARTS are to be numbers above 0');
const NAMES = { scaling: 'nodes scale their Deployment', crowd: 'a crowd at a long queue' };
const log = (text: string) => console.error(text);

let page = await readFromRoot(PAGE);
page =
  values['each-act'] === undefined
    ? await withSimulated(page)
    : replaceSection(page, 'each act', await aloneTable(values['each-act']));
await writeGenerated(new Map([[PAGE, page]]), []);

async function withSimulated(before: string): Promise<string> {
  const figures = await simulateHours(hours, parts, log);
  const mutants = await catchMutants();
  let after = replaceSection(before, 'simulated', simulatedTable(figures));
  after = replaceSection(after, 'faults', faultsTable(figures));
  return replaceSection(after, 'mutants', table(['mistake', 'broken', 'first seed', 'faults'], mutants));
}

/** The file has no figures where a promise was broken. */
async function aloneTable(file: string): Promise<string> {
  const {
    first,
    seeds,
    hours: simulated,
    sweep,
  } = JSON.parse(await readFile(file, 'utf8')) as Figures & {
    sweep: readonly ActFigures[];
  };
  const never = neverStruck({ figures: sweep });
  if (never.length > 0) throw new Error(`Cannot report as these faults never struck: ${never.join(', ')}`);
  const each = sweep[0]!.seeds;
  const command = `npm run simulate -- --each-act --seed ${first} --seeds ${each}`;
  return [
    `\`${command}\`: ${amount(seeds)} clusters, ${amount(simulated)} simulated hours, promises broken: ${sweep.reduce((sum, { failed }) => sum + failed, 0)}.`,
    '',
    table(
      ['fault', 'struck'],
      sweep.map(({ act, struck }) => [act, amount(struck)]),
    ),
  ].join('\n');
}

async function catchMutants(): Promise<string[][]> {
  const rows: string[][] = [];
  const queue = [...MUTANTS.entries()];
  const work = async () => {
    for (let next = queue.shift(); next; next = queue.shift()) {
      const [at, mutant] = next;
      const caught = await catchMutant(mutant);
      if (!caught) throw new Error(`Cannot report as a mutant survives: ${mutant.name}`);
      if (!mutant.breaks.some(one => one === caught.invariant))
        throw new Error(
          `Cannot report as a mutant is caught for the wrong reason, ${caught.invariant}: ${mutant.name}`,
        );
      const faults = mutant.acts?.join(', ') ?? 'chosen by the seed';
      const where = mutant.workload ? `${faults}; ${NAMES[mutant.workload]}` : faults;
      rows[at] = [mutant.name, caught.invariant, String(caught.seed), where];
      log(`Mutant ${at + 1} of ${MUTANTS.length} is caught by seed ${caught.seed}: ${mutant.name}`);
    }
  };
  await Promise.all(Array.from({ length: parts }, work));
  return rows;
}

function simulatedTable(figures: Figures): string {
  const { first, seeds, workloads, hours: simulated, events, tasks, executions, outcomes, processorSeconds } = figures;
  return table(
    ['', ''],
    [
      ['seeds', `${first} to ${first + seeds - 1}`],
      ['– with nodes that scale their own Deployment', amount(workloads.scaling)],
      ['– with a crowd at a long queue', amount(workloads.crowd)],
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

/** Faults of the plan by the seeds that had them; weather and the ugly parts of etcd are no acts, and come when they come. */
function faultsTable({ acts, strikes }: Figures): string {
  const rows = Object.entries(strikes).sort(([one, a], [other, b]) => b - a || (one < other ? -1 : 1));
  const never = Object.keys(acts).filter(act => strikes[act] === undefined);
  if (never.length > 0) throw new Error(`Cannot report as these faults never struck: ${never.join(', ')}`);
  return table(
    ['fault', 'struck', 'seeds that had it'],
    rows.map(([fault, times]) => [fault, amount(times), acts[fault] === undefined ? '' : amount(acts[fault])]),
  );
}

function rowsOf(counts: Readonly<Record<string, number>>): string[][] {
  return Object.entries(counts)
    .sort(([one, a], [other, b]) => b - a || (one < other ? -1 : 1))
    .map(([name, count]) => [name, amount(count)]);
}

function amount(value: number): string {
  return value.toLocaleString('en', { maximumFractionDigits: 0 });
}
