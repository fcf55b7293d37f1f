import { setTimeout as sleep } from 'node:timers/promises';
import type { Place } from './place.ts';
import type { Rig } from './rig.ts';
import type { Plannable } from './schedule.ts';

/** Takes a fault back, as far as the nemesis itself can; resolves when what it has hurt works again. */
export type Heal = (signal: AbortSignal) => Promise<void>;

/** A kind of fault. What it does between `inject` and its healing depends on the rig, the number and chance of its own. */
export interface Nemesis extends Plannable {
  /** Absent: it can be had everywhere. Otherwise why it cannot be had here, or undefined. */
  readonly whyNot?: () => string | undefined;
  /** It lasts so long that it comes only when it is asked for by name. */
  readonly isRare?: true;
  /**
   * @param pick in [0, 1): which node, member or variant
   * @param struck told whenever it really hurts something: one that lies in wait for what does not come by is no fault
   */
  inject(rig: Rig, pick: number, signal: AbortSignal, struck: Struck): Promise<Heal>;
}

/** @param where absent: everywhere, or where no node is */
export type Struck = (where?: Place, what?: { readonly isStoring: boolean }) => void;

/** Does something again and again until it is healed, or the run ends. */
export function again(everyMs: number, action: () => Promise<void>, signal: AbortSignal): Heal {
  const healed = new AbortController();
  const ended = AbortSignal.any([signal, healed.signal]);
  const doing = (async () => {
    while (!ended.aborted) {
      await action();
      await sleep(everyMs, undefined, { signal: ended }).catch(() => undefined);
    }
  })();
  return async () => {
    healed.abort();
    await doing;
  };
}

export const nothingToHeal: Heal = async () => undefined;

/** A second number from the first one, for nemeses that have two things to choose. */
export function secondPick(pick: number): number {
  return (pick * 97) % 1;
}
