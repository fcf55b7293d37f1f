import { clockFaults } from './nemeses/clock-faults.ts';
import { crashPoints } from './nemeses/crash-points.ts';
import { diskFaults } from './nemeses/disk-faults.ts';
import { etcdFaults } from './nemeses/etcd-faults.ts';
import { lateCompletion } from './nemeses/late-completion.ts';
import { namespaceFaults } from './nemeses/namespace-faults.ts';
import { networkFaults } from './nemeses/network-faults.ts';
import { nodeFaults } from './nemeses/node-faults.ts';
import { objectFaults } from './nemeses/object-faults.ts';
import type { Nemesis } from './nemesis.ts';

/** All kinds of faults there are, those that come only by name among them. */
export const ALL_NEMESES: readonly Nemesis[] = [
  ...nodeFaults,
  ...crashPoints,
  lateCompletion,
  ...clockFaults,
  ...networkFaults,
  ...namespaceFaults,
  ...etcdFaults,
  ...objectFaults,
  ...diskFaults,
];

/** Those that a seed draws from. */
export const NEMESES: readonly Nemesis[] = ALL_NEMESES.filter(({ isRare }) => isRare === undefined);
