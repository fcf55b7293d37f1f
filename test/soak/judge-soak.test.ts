import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { judgeSoak } from './judge-soak.ts';
import type { ProcessSample } from './look-at-process.ts';
import { readRecord } from './read-record.ts';
import type { SoakRecord } from './run-soak.ts';
import type { Sample } from './sample.ts';

const MB = 2 ** 20;
const PROCESS: ProcessSample = {
  ...{ rss: 200 * MB, heapUsed: 40 * MB, external: 10 * MB, arrayBuffers: MB },
  ...{ delayP99Ms: 20, delayMaxMs: 50, busy: 0.1, resources: {}, cpuSeconds: 1, threads: 11, handles: 30, sockets: 11 },
};

/** Two hours in 12 rounds, each of three samples under load and one at rest. */
function record(change: (hours: number, sample: Sample) => Sample = (_, sample) => sample, minutes = 120): SoakRecord {
  const samples = Array.from({ length: 48 }, (_, index): Sample => {
    const at = ((index + 1) * minutes * 60) / 48;
    const isResting = index % 4 === 3;
    const sample: Sample = {
      ...{
        at,
        phase: isResting ? 'rest' : 'load',
        round: Math.floor(index / 4),
        actions: index * 20,
        tasks: index * 15,
      },
      ...{ machineLoad: 1, node: PROCESS, supervisor: PROCESS, etcd: { bytes: MB, bytesInUse: MB } },
      ...{ sandboxes: isResting ? 0 : 3, files: 8, cacheFiles: 10, cacheBytes: 1000 },
      ...(isResting && { resting: { taskProcesses: 0, webSockets: 0, subscriptions: 0, objects: index } }),
    };
    return change(at / 3600, sample);
  });
  const head = { seed: 'doctored', minutes, rounds: 12, actionsPerSecond: 1, node: 'v0' };
  return { head, samples, surprises: [], end: { did: {} } };
}

function broken(soak: SoakRecord): string[] {
  const { judgements, isFlat } = judgeSoak(soak);
  const names = judgements.filter(judgement => judgement.isFlat === false).map(({ name }) => name);
  assert.equal(isFlat, names.length === 0);
  return names;
}

function withNode(sample: Sample, node: Partial<ProcessSample>): Sample {
  return { ...sample, node: { ...sample.node, ...node } };
}

test('a node that takes the same all the time is flat', () => {
  assert.deepEqual(broken(record()), []);
});

test('memory that grows all the time is found out, and how fast', () => {
  const leak = record((hours, sample) => withNode(sample, { rss: (200 + 40 * hours) * MB }));
  assert.deepEqual(broken(leak), ['memory of the node']);
  const slope = judgeSoak(leak).judgements.find(({ name }) => name === 'memory of the node')?.slopePerHour;
  assert.equal(slope?.toFixed(1), '40.0');
});

test('memory that has grown within the first quarter only is warm', () => {
  const warm = record((hours, sample) => withNode(sample, { rss: (150 + Math.min(50, hours * 100)) * MB }));
  assert.deepEqual(broken(warm), []);
});

test('one file that stays open at rest is found out', () => {
  const open = record((hours, sample) => withNode(sample, { handles: hours > 1.9 ? 31 : 30 }));
  assert.deepEqual(broken(open), ['open handles of the node, at rest']);
});

test('a folder of a sandbox that stays is found out, though only once', () => {
  const left = record((hours, sample) => (sample.resting && hours < 0.5 ? { ...sample, sandboxes: 1 } : sample));
  assert.deepEqual(broken(left), ['folders of sandboxes, at rest']);
});

test('an event loop that is late with the whole machine is not the node’s doing; alone, it is', () => {
  const late = { delayP99Ms: 200 };
  const busy = record((hours, sample) =>
    hours < 1.5 ? sample : { ...withNode(sample, late), supervisor: { ...PROCESS, ...late } },
  );
  assert.deepEqual(broken(busy), []);
  const slow = record((hours, sample) => (hours < 1.5 ? sample : withNode(sample, late)));
  assert.deepEqual(broken(slow), ['event loop of the node late, beside the supervisor’s']);
});

test('a minute says nothing about memory, and all about what is left open', () => {
  const short = record(
    (hours, sample) => withNode(sample, { rss: hours * 1e12, handles: sample.round > 10 ? 31 : 30 }),
    1,
  );
  assert.deepEqual(broken(short), ['open handles of the node, at rest']);
});

test('memory outside of the heap is what the collections of garbage have left, not what they were about to free', () => {
  const MOMENT = 40 * MB;
  const waves = record((_, sample) => withNode(sample, { external: sample.round % 3 === 0 ? 10 * MB : MOMENT }));
  assert.deepEqual(broken(waves), []);
  const held = record((hours, sample) => withNode(sample, { external: (10 + hours * 5) * MB }));
  assert.deepEqual(broken(held), ['memory of the node outside of its heap, the least']);
});

test('hours and ten minutes have medians of their own', () => {
  const { hours, tenMinutes } = judgeSoak(
    record((time, sample) => withNode(sample, { rss: (time <= 1 ? 100 : 300) * MB })),
  );
  assert.deepEqual(
    hours.slice(0, 2).map(({ values }) => values['memory of the node']),
    [100, 300],
  );
  assert.equal(tenMinutes.length, 13);
});

test('a run that was cut short is read from its file, as far as it came', async () => {
  await using folder = await temporaryFolder();
  const file = join(folder.path, 'samples.jsonl');
  const { head, samples } = record();
  const lines = [head, ...samples.slice(0, 20), { surprise: 'a list: 500' }].map(line => `${JSON.stringify(line)}\n`);
  await writeFile(file, `${lines.join('')}{"at": 7, "phase": "lo`);
  const read = await readRecord(file);
  assert.deepEqual([read.samples.length, read.surprises, read.end], [20, ['a list: 500'], undefined]);
  assert.equal(judgeSoak(read).isCutShort, true);
});
