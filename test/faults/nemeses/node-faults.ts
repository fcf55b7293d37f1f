import { setTimeout as sleep } from 'node:timers/promises';
import { type Heal, type Nemesis, nothingToHeal, secondPick } from '../nemesis.ts';
import type { Place } from '../place.ts';
import type { Rig } from '../rig.ts';

/** Shorter than etcd's TTL of 30 s: nothing may come of it. */
const SHORT_STOP_MS = [3000, 14_000] as const;
/** Longer: somebody else has the tasks when the node wakes up. */
const LONG_STOP_MS = [36_000, 50_000] as const;

const FEW = 2;
const MANY = 20;

/** What happens to the processes of nodes. */
export const nodeFaults: readonly Nemesis[] = [
  {
    name: 'kill -9 of a node',
    track: 'nodes',
    lastsMs: [1000, 8000],
    async inject(rig, pick, _signal, struck) {
      const place = rig.pickPlace(pick);
      struck(place);
      await rig.kill(place);
      return revive(rig, place, secondPick(pick));
    },
  },
  {
    name: 'kill -9 of a supervisor',
    track: 'nodes',
    lastsMs: [1000, 3000],
    async inject(rig, pick, _signal, struck) {
      const place = rig.pickPlace(pick);
      if (send(await place.supervisor(), 'SIGKILL')) struck(place);
      return nothingToHeal;
    },
  },
  {
    name: 'kill -9 of a node and its supervisor',
    track: 'nodes',
    lastsMs: [1000, 8000],
    async inject(rig, pick, _signal, struck) {
      const place = rig.pickPlace(pick);
      const supervisor = await place.supervisor();
      struck(place);
      const killed = rig.kill(place);
      send(supervisor, 'SIGKILL');
      await killed;
      return revive(rig, place, secondPick(pick));
    },
  },
  stop('SIGSTOP of a node, shorter than the TTL', 'node', SHORT_STOP_MS),
  stop('SIGSTOP of a node, longer than the TTL', 'node', LONG_STOP_MS),
  stop('SIGSTOP of a supervisor', 'supervisor', SHORT_STOP_MS),
  stop('SIGSTOP of a supervisor, longer than the TTL', 'supervisor', LONG_STOP_MS),
  stop('SIGSTOP of a node and its supervisor, shorter than the TTL', 'both', SHORT_STOP_MS),
  stop('SIGSTOP of a node and its supervisor, longer than the TTL', 'both', LONG_STOP_MS),
  {
    name: 'rolling SIGTERM of all nodes',
    track: 'nodes',
    lastsMs: [12_000, 20_000],
    async inject(rig, _pick, signal, struck) {
      for (const place of [...rig.living]) {
        struck(place);
        await rig.drain(place, signal);
        await rig.bring(place, signal);
      }
      return nothingToHeal;
    },
  },
  {
    name: 'scaling down to 2 nodes and up again',
    track: 'nodes',
    lastsMs: [8000, 20_000],
    async inject(rig, _pick, signal, struck) {
      const leaving = rig.living.slice(FEW);
      for (const place of leaving) struck(place);
      await Promise.all(leaving.map(place => rig.drain(place, signal)));
      return async healing => {
        for (const place of leaving) await rig.bring(place, healing);
      };
    },
  },
  {
    name: 'scaling to 2 nodes, to 20 and to 2',
    track: 'nodes',
    lastsMs: [35_000, 50_000],
    async inject(rig, _pick, signal, struck) {
      const usual = rig.living;
      const drain = async (places: readonly Place[], until: AbortSignal) => {
        for (const place of places) struck(place);
        await Promise.all(places.map(place => rig.drain(place, until)));
      };
      await drain(usual.slice(FEW), signal);
      await rig.makeRoom(MANY);
      const coming = rig.places.filter(({ isAlive }) => !isAlive).slice(0, MANY - FEW);
      await Promise.all(coming.map(place => rig.bring(place, signal)));
      return async healing => {
        const leaving = rig.living.filter(place => !usual.slice(0, FEW).includes(place));
        await drain(leaving, healing);
        for (const place of usual) if (!place.isAlive) await rig.bring(place, healing);
      };
    },
  },
];

/** Now with an empty disk, now under the name of the one that died. */
export function revive(rig: Rig, place: Place, pick: number): Heal {
  return async signal => {
    if (!place.isAlive) await rig.bring(place, signal, { sameName: pick < 0.2, freshDisk: pick > 0.6 });
  };
}

function stop(name: string, whom: 'node' | 'supervisor' | 'both', lastsMs: readonly [number, number]): Nemesis {
  return {
    name,
    track: 'nodes',
    lastsMs,
    async inject(rig, pick, _signal, struck) {
      const place = rig.pickPlace(pick);
      const { life } = place;
      const supervisor = whom === 'node' ? undefined : await place.supervisor();
      const node = whom === 'supervisor' ? undefined : life?.pid;
      const blackout = { nodeId: life?.nodeId ?? '', from: performance.now(), to: Number.POSITIVE_INFINITY };
      if (whom === 'both') rig.blackouts.push(blackout);
      const isStopped = [send(node, 'SIGSTOP'), send(supervisor, 'SIGSTOP')];
      if (isStopped.includes(true)) struck(place);
      const order = secondPick(pick) < 0.5 ? [node, supervisor] : [supervisor, node];
      return async () => {
        for (const pid of order) {
          send(pid, 'SIGCONT');
          await sleep(100);
        }
        blackout.to = performance.now();
      };
    },
  };
}

/** To a process that may have ended meanwhile; tells whether it has not. */
export function send(pid: number | undefined, signal: NodeJS.Signals): boolean {
  if (pid === undefined) return false;
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    return false;
  }
}
