import type { ProcessSample } from './look-at-process.ts';

/** Everything that is measured at one moment: one line of the file that a soak writes. */
export interface Sample {
  /** Seconds since the soak began. */
  readonly at: number;
  /** `rest`: no task, no user, and garbage has been collected. */
  readonly phase: 'load' | 'rest';
  /** Which load with its rest this belongs to, from 0. */
  readonly round: number;
  /** What users have done so far, and tasks that have ended. */
  readonly actions: number;
  readonly tasks: number;
  /** How many processes of the whole machine wanted to run, over a minute: others may work on it. */
  readonly machineLoad: number;
  readonly node: ProcessSample;
  readonly supervisor: ProcessSample;
  readonly etcd: { readonly bytes: number; readonly bytesInUse: number };
  /** Of tasks: processes, folders of sandboxes, pipes between node and supervisor that are in use. */
  readonly sandboxes: number;
  /** Files and folders in the node's data folder, beside its cache. */
  readonly files: number;
  /** Files and bytes of the cache of workspaces. */
  readonly cacheFiles: number;
  readonly cacheBytes: number;
  /** At rest only, as they cost something to find. */
  readonly resting?: Resting;
}

export interface Resting {
  readonly taskProcesses: number;
  readonly webSockets: number;
  readonly subscriptions: number;
  readonly objects: number;
}

/** The first line of the file. */
export interface SoakHead {
  readonly seed: string;
  readonly minutes: number;
  readonly rounds: number;
  readonly actionsPerSecond: number;
  readonly node: string;
}

/** A line for what was not as it should be. */
export interface Surprise {
  readonly surprise: string;
}

/** The last line of the file of a soak that was not cut short. */
export interface SoakEnd {
  readonly did: Readonly<Record<string, number>>;
}
