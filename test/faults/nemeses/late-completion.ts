import { setTimeout as sleep } from 'node:timers/promises';
import type { Nemesis, Struck } from '../nemesis.ts';
import type { Place } from '../place.ts';
import type { Rig } from '../rig.ts';
import { isCompletion } from './crash-points.ts';
import { send } from './node-faults.ts';

/** Longer than a lease lives after its last renewal, and than it then takes another node to claim. */
const LASTS_MS = 40_000;

/** How much longer it may take: leases that a new leader of etcd has given their time anew, a node without a free slot. */
const PATIENCE_MS = 60_000;

interface Caught {
  readonly place: Place;
  readonly task: string;
}

/**
 * The packet that comes too late: a node's COMPLETE is held back on its way, and the node stopped, until its lease has ended and
 * another node holds the task. At that moment etcd gets it. Nothing but the fence can refuse it: there is no result yet, and the
 * node itself does not know better.
 */
export const lateCompletion: Nemesis = {
  name: 'a completion that comes when another node holds the task',
  track: 'nodes',
  lastsMs: [LASTS_MS, LASTS_MS],
  async inject(rig, _pick, signal, struck) {
    const over = new AbortController();
    const ended = AbortSignal.any([signal, over.signal]);
    const delivered = deliverLate(rig, ended, struck);
    return async () => {
      const late = setTimeout(() => over.abort(), PATIENCE_MS);
      await delivered;
      clearTimeout(late);
    };
  },
};

async function deliverLate(rig: Rig, signal: AbortSignal, struck: Struck): Promise<void> {
  const caught = await catchCompletion(rig, signal);
  if (!caught) return rig.options.log('  nobody completed a task');
  const { place, task } = caught;
  const isTaken = await claimedAnew(rig, task, signal);
  if (isTaken) struck(place);
  for (const way of place.ways) way.release();
  rig.options.log(`  ${isTaken ? 'another node had' : 'nobody else had'} ${task} when its late completion came`);
  // etcd decides first: the node could not have asked it before its own request was there.
  await sleep(300);
  send(place.life?.pid, 'SIGCONT');
}

/** Stops the first node that completes a task, and what it says. */
function catchCompletion(rig: Rig, signal: AbortSignal): Promise<Caught | undefined> {
  const { promise, resolve } = Promise.withResolvers<Caught | undefined>();
  const done = (caught?: Caught) => {
    for (const { ways } of rig.places) for (const way of ways) way.trap = undefined;
    resolve(caught);
  };
  signal.addEventListener('abort', () => done(), { once: true });
  for (const place of rig.living)
    for (const way of place.ways)
      way.trap = bytes => {
        const text = bytes.toString('latin1');
        const task = /\/completed\/([0-9a-z]+)/.exec(text)?.[1];
        if (!isCompletion(text) || task === undefined) return 'pass';
        send(place.life?.pid, 'SIGSTOP');
        done({ place, task });
        return 'hold';
      };
  return promise;
}

/** Whether it was, before the signal fired. */
async function claimedAnew({ tape, cluster }: Rig, task: string, signal: AbortSignal): Promise<boolean> {
  const lock = `${cluster}/tasks/${task}.lock`;
  for (let seen = tape.events.length; !signal.aborted; await tape.changed(signal))
    for (; seen < tape.events.length; seen++) {
      const { key, kind } = tape.events[seen]!;
      if (key === lock && kind === 'put') return true;
    }
  return false;
}
