import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Sample, SoakEnd, SoakHead, Surprise } from './sample.ts';
import { type Stage, setStage } from './stage.ts';
import { takeSample } from './take-sample.ts';
import { Users } from './users.ts';

export interface SoakOptions {
  readonly seed: string;
  readonly minutes: number;
  /** So many times load is followed by rest. */
  readonly rounds: number;
  readonly actionsPerSecond: number;
  /** Each sample goes there at once: a run that is cut short loses nothing. */
  readonly file: string;
  readonly log: (text: string) => void;
}

export interface SoakRecord {
  readonly head: SoakHead;
  readonly samples: readonly Sample[];
  readonly surprises: readonly string[];
  /** Absent of a run that was cut short. */
  readonly end?: SoakEnd;
}

const SAMPLE_EVERY_MS = 30_000;
/** What is on its way out when the last task is done is gone after this: idle connections to S3 among it. */
const SETTLE_MS = 8000;
/**
 * The first round is a flood, of so many times the load: what a process keeps for its busiest moment, it then has from the
 * beginning, and not whenever chance or the rest of the machine makes one.
 */
const FLOOD = 4;

/** One node under mixed load that rests now and then, and what it takes meanwhile. */
export async function runSoak(options: SoakOptions, signal: AbortSignal): Promise<SoakRecord> {
  const { seed, minutes, rounds, actionsPerSecond, file, log } = options;
  const head: SoakHead = { seed, minutes, rounds, actionsPerSecond, node: process.version };
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, '');
  const write = (line: SoakHead | Sample | Surprise | SoakEnd) => appendFileSync(file, `${JSON.stringify(line)}\n`);
  write(head);
  const samples: Sample[] = [];
  await using stage = await setStage();
  const failed = new AbortController();
  const living = AbortSignal.any([signal, failed.signal]);
  const surprises: string[] = [];
  const note = (surprise: string) => {
    surprises.push(surprise);
    write({ surprise });
    log(`Not as it should be: ${surprise}`);
  };
  await using users = new Users(stage, seed, note, living);
  const began = performance.now();
  const sample = async (phase: Sample['phase'], round: number) => {
    const at = (performance.now() - began) / 1000;
    const taken = await takeSample(stage, { at, phase, round, actions: users.actions, tasks: users.tasks }, living);
    samples.push(taken);
    write(taken);
    log(sentenceOf(taken));
  };
  try {
    for (let round = 0; round < rounds; round++) {
      const endsAt = began + (minutes * 60_000 * (round + 1)) / rounds;
      const rate = actionsPerSecond * (round === 0 ? FLOOD : 1);
      const load = (enough: AbortSignal) => users.run(rate, enough);
      await underLoad(load, endsAt - SETTLE_MS - performance.now(), () => sample('load', round), living);
      await sleep(SETTLE_MS, undefined, { signal: living });
      await sample('rest', round);
    }
    checkAlive(stage);
  } catch (error) {
    failed.abort(error);
    throw error;
  }
  const end: SoakEnd = { did: Object.fromEntries(users.did) };
  write(end);
  return { head, samples, surprises, end };
}

/** Samples while users are busy, and resolves when what they have begun is done. */
async function underLoad(
  begin: (enough: AbortSignal) => Promise<void>,
  forMs: number,
  sample: () => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const enough = AbortSignal.any([signal, AbortSignal.timeout(Math.max(1000, Math.round(forMs)))]);
  const load = begin(enough);
  try {
    while (!enough.aborted) {
      await sleep(Math.min(SAMPLE_EVERY_MS, forMs / 2), undefined, { signal: enough }).catch(() => undefined);
      if (!enough.aborted) await sample();
    }
  } finally {
    await load;
  }
  signal.throwIfAborted();
}

function checkAlive({ node }: Stage): void {
  const { exitCode, signalCode } = node.process;
  if (exitCode !== null || signalCode !== null) throw new Error(`The node has ended: ${node.output().slice(-2000)}`);
}

function sentenceOf({ at, phase, tasks, node, supervisor, etcd }: Sample): string {
  const mb = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MB`;
  const memory = `node ${mb(node.rss)}, heap ${mb(node.heapUsed)}, outside ${mb(node.external)}; supervisor ${mb(supervisor.rss)}`;
  const handles = `handles ${node.handles} and ${supervisor.handles}`;
  return `${at.toFixed(0).padStart(5)} s ${phase}: ${tasks} tasks; ${memory}; ${handles}; late ${node.delayP99Ms.toFixed(1)} ms; etcd ${mb(etcd.bytes)}`;
}
