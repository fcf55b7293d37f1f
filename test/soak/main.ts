// `npm run soak -- [options]`: one node under mixed load for a long time, and whether what it takes stays the same. Ends with 1 if not, or
// if something was not as it should be, with 2 if it was called wrongly, with 130 if it was interrupted.
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { judgeSoak } from './judge-soak.ts';
import { readRecord } from './read-record.ts';
import { runSoak, type SoakRecord } from './run-soak.ts';
import { formatSoak } from './format-soak.ts';

const USAGE = `Usage: npm run soak -- [options]

  --minutes M   how long (120)
  --rounds N    how often it rests meanwhile (every 10 minutes, at least 4 times)
  --rate R      what users do, in actions a second (2); in the first round, four times that
  --seed S      what they do, and in which order (a new one)
  --file PATH   where each sample is written at once (a new file in the temporary folder)
  --read PATH   tell about a run that has written this, also one that was cut short, instead of a new one
  --json        one line of JSON: the judgements, and figures for every hour and every 10 minutes`;

const options = readOptions();
// As in test/faults/main.ts: Node's own clean-up may wait for ever for what was cut off.
process.exit(options ? await main(options) : 2);

async function main({ json, read, ...run }: NonNullable<ReturnType<typeof readOptions>>): Promise<number> {
  const interrupted = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(name, () => interrupted.abort(new Error(`Interrupted by ${name}`)));
  try {
    const record = read === undefined ? await runSoak(run, interrupted.signal) : await readRecord(read);
    return tell(record, json);
  } catch (error) {
    console.error(interrupted.signal.aborted ? 'Interrupted' : error);
    console.error(`What was measured: npm run soak -- --read ${read ?? run.file}`);
    return interrupted.signal.aborted ? 130 : 1;
  }
}

function tell(record: SoakRecord, json: boolean): number {
  const verdict = judgeSoak(record);
  console.log(json ? JSON.stringify(verdict) : formatSoak(verdict));
  return verdict.isFlat && verdict.surprises.length === 0 ? 0 : 1;
}

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        minutes: { type: 'string', default: '120' },
        rounds: { type: 'string' },
        rate: { type: 'string', default: '2' },
        seed: { type: 'string', default: String(Date.now() % 1_000_000) },
        file: { type: 'string', default: join(tmpdir(), `simple-ci-soak-${process.pid}.jsonl`) },
        read: { type: 'string' },
        json: { type: 'boolean', default: false },
      },
    });
    const minutes = Number(values.minutes);
    const rounds = Number(values.rounds ?? Math.max(4, Math.round(minutes / 10)));
    const actionsPerSecond = Number(values.rate);
    if (!(minutes > 0 && rounds >= 2 && Number.isInteger(rounds) && actionsPerSecond > 0))
      throw new Error('Out of range');
    const { seed, file, read, json } = values;
    return { minutes, rounds, actionsPerSecond, seed, file, read, json, log: (text: string) => console.error(text) };
  } catch {
    console.error(USAGE);
    return undefined;
  }
}
