// `node test/bench/report.ts FILE… > docs/figures.md`: makes the manual's page of figures out of what `npm run bench -- NAME
// --json` has printed, so that no number is typed. What is to be said about a figure stands in figure-notes.ts.
import { readFile } from 'node:fs/promises';
import { availableParallelism, cpus, release, totalmem } from 'node:os';
import { amount, markdownTable } from '../support/page-section.ts';
import { NOTES } from './figure-notes.ts';
import type { BenchResult, Figure } from './figures.ts';

const results = (
  await Promise.all(process.argv.slice(2).map(async file => (await readFile(file, 'utf8')).trim().split('\n')))
).flatMap(lines => lines.map(line => JSON.parse(line) as BenchResult));

console.log(`# Figures

Made by \`node test/bench/report.ts\` out of the benchmarks' own output; do not edit. To repeat one: \`npm run bench -- NAME [--json]\`,
where NAME is one of ${results.map(({ bench }) => `\`${bench}\``).join(', ')}.

Written on ${new Date().toISOString().slice(0, 10)}, Node ${process.version}, Linux ${release()}, ${availableParallelism()} cores (${cpus()[0]?.model.trim()}), ${Math.round(totalmem() / 2 ** 30)} GB. etcd, Ceph's S3
gateway, nodes, tasks and the benchmark itself all run on these cores, which other work shares, and more of it during one
benchmark than during another. So a ratio says more than a value: each floor was measured in the same run as what is measured against it. Values are medians unless they say otherwise.
`);
for (const { bench, figures } of results) {
  console.log(`## ${bench}\n`);
  console.log(table(figures));
  for (const note of NOTES[bench] ?? []) console.log(`\n- ${note}`);
  console.log('');
}

function table(figures: readonly Figure[]): string {
  const head = ['figure', 'value', 'floor', 'ratio', 'aim', ''];
  const rows = figures.map(({ name, value, unit, floor, ratio, aim, met }) => [
    name,
    `${amount(value)} ${unit}`,
    floor === null ? '' : `${amount(floor)} ${unit}`,
    ratio === null ? '' : `${ratio.toFixed(2)}`,
    aim ?? '',
    met === null ? '' : met ? 'met' : '**missed**',
  ]);
  return markdownTable(head, rows);
}
