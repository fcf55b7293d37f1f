import type { Faults } from '../../support/fault-proxy.ts';
import { again, type Nemesis, secondPick, type Struck } from '../nemesis.ts';
import type { Place } from '../place.ts';

/** Some shorter, some longer than it takes until tasks are frozen, at 20 s, and until the lease has ended, at 30 s. */
const SHORT_MS = [4000, 12_000] as const;
const FREEZING_MS = [22_000, 27_000] as const;
const LONG_MS = [36_000, 50_000] as const;

/** What happens on the way between one node and etcd. */
export const networkFaults: readonly Nemesis[] = [
  partition('partition of a node from etcd', { blackhole: 'both' }, SHORT_MS),
  partition('partition of a node from etcd until its tasks are frozen', { blackhole: 'both' }, FREEZING_MS),
  partition('partition of a node from etcd, longer than the TTL', { blackhole: 'both' }, LONG_MS),
  partition('etcd’s answers to a node dropped', { blackhole: 'down' }, SHORT_MS),
  partition('etcd’s answers to a node dropped, longer than the TTL', { blackhole: 'down' }, LONG_MS),
  partition('requests of a node to etcd dropped', { blackhole: 'up' }, SHORT_MS),
  partition('etcd refuses a node’s connections', { refuse: true }, SHORT_MS, true),
  partition('a slow way from a node to etcd', { latencyMs: 400 }, SHORT_MS),
  {
    name: 'one member of etcd cannot be reached by a node',
    track: 'network',
    lastsMs: SHORT_MS,
    async inject(rig, pick, _signal, struck) {
      const place = rig.pickPlace(pick);
      const way = place.ways[Math.floor(pick * 1000) % place.ways.length]!;
      const tell = whenHindered(place, struck);
      way.set({ blackhole: 'both' });
      return async () => {
        way.set({});
        tell();
      };
    },
  },
  {
    name: 'all connections to etcd cut, again and again',
    track: 'network',
    lastsMs: SHORT_MS,
    async inject(rig, _pick, signal, struck) {
      const cut = async () => {
        for (const place of rig.places) {
          const tell = whenHindered(place, struck);
          for (const way of place.ways) way.cut();
          tell();
        }
      };
      return again(1500, cut, signal);
    },
  },
];

function partition(name: string, faults: Faults, lastsMs: readonly [number, number], cuts = false): Nemesis {
  return {
    name,
    track: 'network',
    lastsMs,
    async inject(rig, pick, _signal, struck) {
      const place = rig.pickPlace(pick);
      const { ways } = place;
      const tell = whenHindered(place, struck);
      for (const way of ways) {
        way.set(faults);
        if (cuts) way.cut();
      }
      // Some connections go on with a hole in what they carry, others break at last.
      const breaks = secondPick(pick) < 0.5;
      return async () => {
        for (const way of ways) {
          way.set({});
        }
        tell();
        if (breaks) for (const way of ways) way.cut();
      };
    },
  };
}

/** To be called when it is over: it was a fault if something was on its way meanwhile. */
function whenHindered(place: Place, struck: Struck): () => void {
  const hindered = () => place.ways.reduce((sum, way) => sum + way.hindered, 0);
  const before = hindered();
  return () => {
    if (hindered() > before) struck(place);
  };
}
