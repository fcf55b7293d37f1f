import type { KINDS } from './task-kinds.ts';

/** What is asked of a cluster, and what it is given for that. */
export interface Load {
  /** Of each kind, so many beside the others. */
  readonly shares: Readonly<Partial<Record<keyof typeof KINDS, number>>>;
  /** Of each node. */
  readonly slots: number;
  /** Of etcd: what it holds, and what it held before the last compaction. */
  readonly quotaBytes: number;
  /** So many tasks may be unfinished at once: a queue that only grows shows nothing more. */
  readonly mostOpen: number;
}

const MB = 2 ** 20;

export const LOADS = {
  /** Mostly short tasks, as in life, and long ones: for what becomes of a task that a fault hits. */
  mixed: {
    shares: { quick: 8, steady: 3, keeper: 2, talker: 2, long: 1, failing: 1, secretive: 1, cancelled: 1 },
    slots: 3,
    quotaBytes: 8 * MB,
    mostOpen: 1000,
  },
  /** Tasks that are over at once, by the ten thousand: for what is rare. */
  tiny: {
    shares: { tiny: 85, quick: 5, steady: 1, keeper: 3, talker: 1, long: 1, failing: 2, secretive: 1, cancelled: 1 },
    slots: 6,
    quotaBytes: 128 * MB,
    mostOpen: 300,
  },
  /** Tasks that run for a while, and are hit by what comes meanwhile. */
  long: { shares: { steady: 3, long: 3 }, slots: 4, quotaBytes: 48 * MB, mostOpen: 1000 },
} satisfies Record<string, Load>;

export type LoadName = keyof typeof LOADS;
