// `npm run chaos -- [options]`: a cluster of real processes under load and real faults, and what became of its promises. Ends with
// 1 if one was broken, with 2 if it was called wrongly, with 130 if it was interrupted.
import { execFile } from 'node:child_process';
import { loadavg } from 'node:os';
import { parseArgs, promisify } from 'node:util';
import { formatFigures } from '../bench/figures.ts';
import { chaosFigures, faultCosts, neverStruck } from './chaos-figures.ts';
import type { ChaosReport } from './check-run.ts';
import { LOADS, type LoadName } from './loads.ts';
import { ALL_NEMESES, NEMESES } from './nemeses.ts';
import { lateCompletion } from './nemeses/late-completion.ts';
import type { Nemesis } from './nemesis.ts';
import { runChaos } from './run-chaos.ts';
import { buildUnsafe } from './unsafe-bundle.ts';

const USAGE = `Usage: npm run chaos -- [options]

  --minutes M   how long faults go on (5)
  --nodes N     how many nodes, 2 or more (4)
  --rate R      tasks a second (1)
  --slots N     slots of each node (what the load wants)
  --load NAME   what tasks do: mixed, tiny for very many, long for those that faults are to hit (mixed)
  --seed S      what is drawn, and when (a new one)
  --only TEXT   only nemeses whose name has TEXT in it; may be given again
  --one-by-one  no two faults at once: shows what each one does alone
  --calm N      pauses between faults are N times as long (1)
  --unsafe      a node whose COMPLETE does not compare the fence, and the one fault that shows it: must be seen to fail
  --keep        what was recorded is kept also when nothing was broken
  --list        the nemeses there are
  --json        one line of JSON: figures, and what each fault cost`;

interface Arguments {
  readonly minutes: number;
  readonly nodes: number;
  readonly rate: number;
  readonly slots: number | undefined;
  readonly load: LoadName;
  readonly seed: string;
  readonly only: readonly string[];
  readonly oneByOne: boolean;
  readonly calm: number;
  readonly unsafe: boolean;
  readonly keep: boolean;
  readonly list: boolean;
  readonly json: boolean;
}

// Not by running out of things to do: after ten minutes of connections that led nowhere, Node was seen to wait for ever, in its own
// clean-up, for a request that nobody had any more. What was printed has been written by then.
process.exit(await main());

async function main(): Promise<number> {
  const given = readArguments();
  if (!given) {
    console.error(USAGE);
    return 2;
  }
  if (given.list) {
    for (const { name, isRare } of ALL_NEMESES) console.log(isRare ? `${name} (only when it is asked for)` : name);
    return 0;
  }
  const interrupted = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(name, () => interrupted.abort(new Error(`Interrupted by ${name}`)));
  try {
    const report = await run(given, interrupted.signal);
    return tell(given, report, await version());
  } catch (error) {
    console.error(interrupted.signal.aborted ? 'Interrupted' : error);
    console.error(`To repeat: ${commandOf(given)}`);
    return interrupted.signal.aborted ? 130 : 1;
  }
}

function readArguments(): Arguments | undefined {
  try {
    const { values } = parseArgs({
      options: {
        minutes: { type: 'string', default: '5' },
        nodes: { type: 'string', default: '4' },
        rate: { type: 'string', default: '1' },
        slots: { type: 'string' },
        load: { type: 'string', default: 'mixed' },
        seed: { type: 'string', default: String(Date.now() % 1_000_000) },
        only: { type: 'string', multiple: true, default: [] },
        'one-by-one': { type: 'boolean', default: false },
        calm: { type: 'string', default: '1' },
        unsafe: { type: 'boolean', default: false },
        keep: { type: 'boolean', default: false },
        list: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
      },
    });
    const number = (name: 'minutes' | 'nodes' | 'rate' | 'calm') => Number(values[name]);
    const numbers = { minutes: number('minutes'), nodes: number('nodes'), rate: number('rate'), calm: number('calm') };
    const { load, 'one-by-one': oneByOne, ...rest } = values;
    const slots = values.slots === undefined ? undefined : Number(values.slots);
    if (slots !== undefined && !(Number.isInteger(slots) && slots > 0)) return undefined;
    const isSensible =
      numbers.minutes > 0 && numbers.nodes >= 2 && numbers.rate > 0 && numbers.calm > 0 && load in LOADS;
    return isSensible ? { ...rest, ...numbers, slots, load: load as LoadName, oneByOne } : undefined;
  } catch {
    return undefined; // An option that there is not.
  }
}

async function run(given: Arguments, signal: AbortSignal): Promise<ChaosReport> {
  const { seed, minutes, nodes, rate, slots, load, oneByOne, calm, keep } = given;
  const started = performance.now();
  const log = (text: string) =>
    console.error(`${((performance.now() - started) / 1000).toFixed(1).padStart(7)}  ${text}`);
  await using unsafe = given.unsafe ? await buildUnsafe() : undefined;
  return await runChaos(
    {
      seed,
      durationMs: minutes * 60_000,
      nodes,
      tasksPerSecond: rate,
      load,
      slots,
      density: { oneByOne, calm },
      nemeses: choose(given),
      ...(unsafe && { program: unsafe.path }),
      keepsEvidence: keep,
      log,
    },
    signal,
  );
}

/** What is told apart by a fence and by nothing else is one fault: without it, a run would need luck to show that there is none. */
function choose({ only, unsafe }: Arguments): readonly Nemesis[] {
  if (only.length === 0) return unsafe ? [lateCompletion] : NEMESES;
  return ALL_NEMESES.filter(({ name }) => only.some(text => name.includes(text)));
}

function tell(given: Arguments, report: ChaosReport, commit: string | undefined): number {
  const result = { bench: `chaos, seed ${given.seed}`, figures: chaosFigures(report) };
  const [, , machineLoad] = loadavg();
  const untested = { neverStruck: neverStruck(report), leftOut: report.leftOut };
  const more = {
    command: commandOf(given),
    commit,
    node: process.version,
    machineLoad,
    faults: faultCosts(report),
    ...untested,
  };
  console.log(given.json ? JSON.stringify({ ...result, ...more }) : formatFigures(result));
  for (const nemesis of untested.neverStruck) console.error(`Never hurt anybody, so it has tested nothing: ${nemesis}`);
  for (const { nemesis, why } of untested.leftOut)
    console.error(`Left out, so it has tested nothing: ${nemesis}, as ${why}`);
  if (report.violations.length === 0) return 0;
  for (const { invariant, subject, text } of report.violations) console.error(`${invariant}: ${subject}: ${text}`);
  console.error(`To repeat: ${commandOf(given)}`);
  return 1;
}

/** Of this checkout: with another list of faults, a seed is other weather. */
async function version(): Promise<string | undefined> {
  const described = promisify(execFile)('git', ['describe', '--always', '--dirty'], { cwd: import.meta.dirname });
  return await described.then(
    ({ stdout }) => stdout.trim(),
    () => undefined, // A copy without git.
  );
}

function commandOf({ seed, minutes, nodes, rate, slots, load, only, oneByOne, calm, unsafe }: Arguments): string {
  const filters = only.map(text => ` --only ${JSON.stringify(text)}`).join('');
  const numbers = `--minutes ${minutes} --nodes ${nodes} --rate ${rate}${slots === undefined ? '' : ` --slots ${slots}`}`;
  const flags = `${load === 'mixed' ? '' : ` --load ${load}`}${oneByOne ? ' --one-by-one' : ''}${calm === 1 ? '' : ` --calm ${calm}`}${unsafe ? ' --unsafe' : ''}`;
  return `npm run chaos -- --seed ${JSON.stringify(seed)} ${numbers}${filters}${flags}`;
}
