import { whyNoFakeTime } from '../../support/fake-time.ts';
import { again, type Nemesis, nothingToHeal, type Struck } from '../nemesis.ts';
import type { Rig } from '../rig.ts';

const LASTS_MS = [5000, 15_000] as const;
/** Longer than a supervisor waits for news before it freezes what it runs. */
const STEP_SECONDS = 20;
const HOUR_SECONDS = 3600;

/** The calendar of the one node that has its own. When this is healed, it is set right again: another step, the other way. */
export const clockFaults: readonly Nemesis[] = [
  step('the clock of a node set forward by an hour', HOUR_SECONDS),
  step('the clock of a node set back by an hour', -HOUR_SECONDS),
  step('the clock of a node set forward by 20 s', STEP_SECONDS),
  step('the clock of a node set back by 20 s', -STEP_SECONDS),
  {
    name: 'the clock of a node set to and fro by 20 s, again and again',
    track: 'nodes',
    lastsMs: LASTS_MS,
    whyNot: whyNoFakeTime,
    async inject(rig, _pick, signal, struck) {
      const time = rig.fakeTime;
      if (!time) return nothingToHeal;
      tellWhom(rig, struck);
      let seconds = STEP_SECONDS;
      const swing = again(
        2000,
        async () => {
          await time.set(seconds);
          seconds = -seconds;
        },
        signal,
      );
      return async healing => {
        await swing(healing);
        await time.set(0);
      };
    },
  },
];

function step(name: string, seconds: number): Nemesis {
  return {
    name,
    track: 'nodes',
    lastsMs: LASTS_MS,
    whyNot: whyNoFakeTime,
    async inject(rig, _pick, _signal, struck) {
      const time = rig.fakeTime;
      if (!time) return nothingToHeal;
      tellWhom(rig, struck);
      await time.set(seconds);
      return () => time.set(0);
    },
  };
}

function tellWhom(rig: Rig, struck: Struck): void {
  const place = rig.living.find(({ fakeTime }) => fakeTime);
  if (place) struck(place);
}
