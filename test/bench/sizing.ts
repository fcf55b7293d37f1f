// `node test/bench/sizing.ts COST.json THROUGHPUT.json > docs/sizing.md`: computes the manual's page of sizes from what the benchmarks
// `cost` and `throughput` have measured, so that no number is typed but the assumptions and the prices.
import { readFile } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
import type { BenchResult } from './figures.ts';

const results = await Promise.all(
  process.argv.slice(2).map(async file => JSON.parse(await readFile(file, 'utf8')) as BenchResult),
);

function measured(bench: string, name: string): { readonly value: number; readonly floor: number | null } {
  const found = results.find(result => result.bench === bench)?.figures.find(figure => figure.name === name);
  if (!found) throw new Error(`Cannot compute sizes as a figure is missing: ${bench}, ${name}`);
  return found;
}

/** What is taken for usual: change it to what yours is, and compute again. */
const USUAL = {
  taskSeconds: 300,
  /** Of its seconds, those in which a task prints. */
  printing: 0.5,
  logMegabytes: 1,
  artifactMegabytes: 10,
  /** What a workspace's snapshot adds to what is there already. */
  workspaceMegabytes: 0.2,
  slotsPerNode: 4,
  /** Of the nodes, those that have a slot free: they watch the queue. */
  free: 0.2,
  /** What a task.json and its result take beside what the least of them takes. */
  extraTaskBytes: 1500,
  keptDays: 30,
};
/** US dollars: AWS, S3 Standard, us-east-1, as listed in 2026. */
const PRICES = { thousandPuts: 0.005, thousandOthers: 0.0004, gigabyteMonth: 0.023 };
const KEPT_IN_ETCD = 10_000;
const KEPT_IN_ETCD_DAYS = 7;
/** Twice what is used is there for bursts, compactions and a day on which the disk is slow. */
const HEADROOM = 0.5;
const SIZES = [10, 1000, 10_000];

const cost = (name: string) => measured('cost', name).value;
const capacity = {
  proposals: 3 * measured('throughput', 'no-op tasks, 1 nodes, long queue').floor!,
  messages: 3 * 50 * measured('throughput', 'the same, against transactions that 50 watchers are told of').floor!,
};
/** A node that is not saturated commits each alone. */
const PROPOSALS_PER_TASK = Math.max(3, cost('a short task: proposals in etcd'));

interface Size {
  readonly nodes: number;
  readonly tasksPerSecond: number;
  readonly proposals: number;
  readonly messages: number;
  readonly renewals: number;
  readonly etcdBytes: number;
  readonly puts: number;
  readonly others: number;
  readonly gigabytesPerDay: number;
  readonly dollarsPerMonth: number;
}

function sizeOf(concurrent: number): Size {
  const nodes = Math.ceil(concurrent / USUAL.slotsPerNode);
  const tasksPerSecond = concurrent / USUAL.taskSeconds;
  const tasksPerDay = tasksPerSecond * 86_400;
  const proposals = tasksPerSecond * PROPOSALS_PER_TASK;
  const inEtcd = Math.min(KEPT_IN_ETCD, tasksPerDay * KEPT_IN_ETCD_DAYS) + concurrent;
  const printing = concurrent * USUAL.printing;
  // Beside what it prints: manifest, workspace and artifact.
  const puts = tasksPerSecond * 3 + printing * cost('a second of printing: puts into S3');
  const others = tasksPerSecond * 4 + printing * cost('a second of printing: other requests to S3');
  const gigabytesPerDay =
    (tasksPerDay * (USUAL.logMegabytes / 4 + USUAL.artifactMegabytes + USUAL.workspaceMegabytes)) / 1000;
  const requestDollars = ((puts / 1000) * PRICES.thousandPuts + (others / 1000) * PRICES.thousandOthers) * 86_400 * 30;
  return {
    nodes,
    tasksPerSecond,
    proposals,
    messages: proposals * Math.max(1, nodes * USUAL.free),
    renewals: (nodes * cost('a minute of an idle node: renewals of its lease')) / 60,
    etcdBytes: inEtcd * (cost('a finished task in etcd') + USUAL.extraTaskBytes),
    puts,
    others,
    gigabytesPerDay,
    dollarsPerMonth: requestDollars + gigabytesPerDay * USUAL.keptDays * PRICES.gigabyteMonth,
  };
}

/** The most tasks at once for which something stays within half of what was measured. */
function largest(isWithin: (size: Size) => boolean): number {
  let low = 1;
  let high = 10_000_000;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (isWithin(sizeOf(middle))) low = middle;
    else high = middle - 1;
  }
  return low;
}

const number = (value: number) => value.toLocaleString('en', { maximumSignificantDigits: 2 });
const rows: [string, (size: Size) => string][] = [
  [`nodes of ${USUAL.slotsPerNode} slots`, size => size.nodes.toLocaleString('en')],
  ['tasks a second', size => number(size.tasksPerSecond)],
  ['etcd: writes a second, each synced to disk', size => number(size.proposals)],
  ['– of what one member on this machine did', size => `${number((size.proposals / capacity.proposals) * 100)}%`],
  ['etcd: messages to watching nodes a second', size => number(size.messages)],
  ['– of what was told here', size => `${number((size.messages / capacity.messages) * 100)}%`],
  ['etcd: renewals of leases a second, not written', size => number(size.renewals)],
  ['etcd: size of what is there', size => `${number(size.etcdBytes / 1e6)} MB`],
  ['S3: puts a second', size => number(size.puts)],
  ['S3: other requests a second', size => number(size.others)],
  ['S3: stored a day', size => `${number(size.gigabytesPerDay)} GB`],
  [`S3: a month, with ${USUAL.keptDays} days kept`, size => `$${number(size.dollarsPerMonth)}`],
];
const sizes = SIZES.map(sizeOf);
const table = [
  ['', ...SIZES.map(size => `${size.toLocaleString('en')} at once`)],
  ...rows.map(([name, text]) => [name, ...sizes.map(text)]),
];
const widths = table[0]!.map((_, column) => Math.max(3, ...table.map(row => row[column]!.length)));
const line = (cells: readonly string[]) => `| ${cells.map((cell, at) => cell.padEnd(widths[at]!)).join(' | ')} |`;
const [head, ...body] = table.map(line);

const byWrites = largest(({ proposals }) => proposals <= HEADROOM * capacity.proposals);
const byMessages = largest(({ messages }) => messages <= HEADROOM * capacity.messages);
const byPuts = largest(({ puts }) => puts <= 3500);
const printingSecond = cost('a second of printing: puts into S3');

console.log(`# Sizes

Computed by \`node test/bench/sizing.ts COST.json THROUGHPUT.json\` from what \`npm run bench -- cost --json\` and \`npm run bench -- throughput --json\`
measured; do not edit. Measured on ${availableParallelism()} cores (${cpus()[0]?.model.trim()}) that etcd, nodes and the benchmark shared, so a real etcd does more.

Taken for usual: a task runs ${USUAL.taskSeconds / 60} minutes, prints in half of its seconds, ${USUAL.logMegabytes} MB in all (stored as a quarter of that), keeps ${USUAL.artifactMegabytes} MB and sends ${USUAL.workspaceMegabytes} MB of workspace; its record and
result take 2 KB; a node has ${USUAL.slotsPerNode} slots; one node in ${1 / USUAL.free} has a slot free. Prices are those that AWS lists for S3 Standard in us-east-1 in 2026; traffic out of S3 is not counted.

${head}
${line(widths.map(width => '-'.repeat(width)))}
${body.join('\n')}

Beside that, what was counted for one task and one node:

${results
  .find(({ bench }) => bench === 'cost')!
  .figures.map(({ name, value, unit }) => `- ${name}: ${number(value)} ${unit}`)
  .join('\n')}

## What it means

- **etcd is small.** ${number(sizes[2]!.etcdBytes / 1e6)} MB for 10,000 tasks at once: its quota of 2 GiB holds a backlog of some ${number(2 ** 31 / 2 / (cost('a finished task in etcd') + USUAL.extraTaskBytes))} waiting tasks. Its disk has to sync ${number(sizes[2]!.proposals)} writes a second.
- **S3's price is that of live logs.** A task that prints all the time stores a piece every half second, ${number(printingSecond)} puts a second, so that a node that is killed loses the last second
  at most. That is $${number((printingSecond * 3600 * PRICES.thousandPuts) / 1000)} an hour for one task at AWS's prices, and nothing at an S3 of your own. \`--log-flush 5s\` makes a tenth of it, at the price of the last five seconds.

## Where to split

Clusters share nothing, so several of them on one etcd, or each on its own, are as good as one, but for the queue: a free node of one does not help the other.
With half of what was measured kept for bursts, and tasks as above, a cluster should be split in two:

- above some **${number(byMessages)} tasks at once**, by the messages to nodes with a free slot: each change of the queue is told to each of them. Larger nodes help most: ten times the slots are a tenth of the watchers;
- above some **${number(byWrites)} tasks at once**, by writes of one etcd, whatever the nodes are;
- above some **${number(byPuts)} tasks at once**, by puts into one bucket under one prefix, of which AWS promises 3,500 a second before it divides the prefix by itself.

Short tasks count more: the first two limits are tasks a second, ${number(byMessages / USUAL.taskSeconds)} and ${number(byWrites / USUAL.taskSeconds)}.`);
