// `npm run chaos -- [--minutes M] [--nodes N] [--seed S]`: a cluster of real processes under load and real faults, and what became
// of its promises. Ends with 1 if one was broken.
import { parseArgs } from 'node:util';
import { formatFigures } from '../bench/figures.ts';
import { chaosFigures } from './chaos-figures.ts';
import { NEMESES } from './nemeses.ts';
import { runChaos } from './run-chaos.ts';
import { buildUnsafe } from './unsafe-bundle.ts';

const USAGE = `Usage: npm run chaos -- [options]

  --minutes M   how long faults go on (5)
  --nodes N     how many nodes (4)
  --rate R      tasks a second (1)
  --seed S      what is drawn, and when (a new one)
  --only TEXT   only nemeses whose name has TEXT in it; may be given again
  --unsafe      a node whose COMPLETE does not compare the fence: must be seen to fail
  --keep        what was recorded is kept also when nothing was broken
  --list        the nemeses there are
  --json        figures as one line of JSON`;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    nodes: { type: 'string', default: '4' },
    rate: { type: 'string', default: '1' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    only: { type: 'string', multiple: true, default: [] },
    unsafe: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) console.log(USAGE);
else if (values.list) for (const { name } of NEMESES) console.log(name);
else process.exitCode = await main();

async function main(): Promise<number> {
  const interrupted = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(name, () => interrupted.abort(new Error(`Interrupted by ${name}`)));
  const started = performance.now();
  const log = (text: string) =>
    console.error(`${((performance.now() - started) / 1000).toFixed(1).padStart(7)}  ${text}`);
  const { seed, only } = values;
  const nemeses = NEMESES.filter(({ name }) => only.length === 0 || only.some(text => name.includes(text)));
  await using unsafe = values.unsafe ? await buildUnsafe() : undefined;
  try {
    const report = await runChaos(
      {
        seed,
        durationMs: Number(values.minutes) * 60_000,
        nodes: Number(values.nodes),
        tasksPerSecond: Number(values.rate),
        nemeses,
        ...(unsafe && { program: unsafe.path }),
        keepsEvidence: values.keep,
        log,
      },
      interrupted.signal,
    );
    const result = { bench: `chaos, seed ${seed}`, figures: chaosFigures(report) };
    console.log(values.json ? JSON.stringify(result) : formatFigures(result));
    if (report.evidence) console.error(`What was recorded is in ${report.evidence}`);
    if (report.violations.length === 0) return 0;
    for (const { invariant, subject, text } of report.violations) console.error(`${invariant}: ${subject}: ${text}`);
    console.error(`To repeat: ${repeat()}`);
    return 1;
  } catch (error) {
    console.error(`${interrupted.signal.aborted ? 'Interrupted' : (error as Error).stack}. To repeat: ${repeat()}`);
    return interrupted.signal.aborted ? 130 : 1;
  }
}

function repeat(): string {
  const { seed, minutes, nodes, rate, only, unsafe } = values;
  const filters = only.map(text => ` --only ${JSON.stringify(text)}`).join('');
  return `npm run chaos -- --seed ${seed} --minutes ${minutes} --nodes ${nodes} --rate ${rate}${filters}${unsafe ? ' --unsafe' : ''}`;
}
