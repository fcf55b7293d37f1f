import type { Sample } from './sample.ts';

/** What the last quarter of a soak may have, beside the second one: the first one is for warming up. */
export type Rule =
  | { readonly kind: 'flat'; readonly factor: number; readonly plus: number }
  /** Never more than that. */
  | { readonly kind: 'most'; readonly most: number };

/** One thing that is measured again and again. */
export interface Series {
  readonly name: string;
  readonly unit: string;
  readonly phase: Sample['phase'];
  of(sample: Sample): number | undefined;
  /** What of a stretch of time is told. Default: the median. */
  readonly by?: 'least' | 'most';
  /** Absent: it is told, and grows with what has been done, as it should. */
  readonly rule?: Rule;
  /** A minute shows whether it comes back to where it was, and says nothing of the others. */
  readonly isJudgedSoon?: boolean;
}

const MB = 2 ** 20;
const ZERO: Rule = { kind: 'most', most: 0 };
/** For the next request the node keeps up to 64 connections to S3 and those of up to 24 callers; and it has some to etcd. */
const MOST_SOCKETS: Rule = { kind: 'most', most: 100 };
const flat = (factor: number, plus: number): Rule => ({ kind: 'flat', factor, plus });

export const SERIES: readonly Series[] = [
  { name: 'memory of the node', unit: 'MB', phase: 'load', of: ({ node }) => node.rss / MB, rule: flat(1.1, 8) },
  { name: 'memory of the supervisor', unit: 'MB', phase: 'load', of: it => it.supervisor.rss / MB, rule: flat(1.1, 4) },
  { name: 'heap of the node, at rest', unit: 'MB', phase: 'rest', of: it => it.node.heapUsed / MB, rule: flat(1.1, 2) },
  {
    // What one collection of garbage lets go of, the next one frees: the least is what is held for good.
    name: 'memory of the node outside of its heap, the least',
    unit: 'MB',
    phase: 'load',
    of: ({ node }) => node.external / MB,
    by: 'least',
    rule: flat(1.1, 2),
  },
  {
    name: 'heap of the supervisor, at rest',
    unit: 'MB',
    phase: 'rest',
    of: ({ supervisor }) => supervisor.heapUsed / MB,
    rule: flat(1.1, 1),
  },
  { name: 'event loop of the node late, p99', unit: 'ms', phase: 'load', of: it => it.node.delayP99Ms },
  { name: 'event loop of the supervisor late, p99', unit: 'ms', phase: 'load', of: it => it.supervisor.delayP99Ms },
  {
    // The supervisor has next to nothing to do: when it is late, the machine was busy with something else.
    name: 'event loop of the node late, beside the supervisor’s',
    unit: '×',
    phase: 'load',
    of: ({ node, supervisor }) => (node.delayP99Ms + 1) / (supervisor.delayP99Ms + 1),
    rule: flat(1.5, 0.5),
  },
  ...(['node', 'supervisor'] as const).flatMap((role): Series[] => [
    {
      name: `open handles of the ${role}, at rest`,
      unit: '',
      phase: 'rest',
      of: sample => sample[role].handles - sample[role].sockets,
      rule: flat(1, 0),
      by: 'most',
      isJudgedSoon: true,
    },
    {
      name: `open sockets of the ${role}, at rest`,
      unit: '',
      phase: 'rest',
      of: sample => sample[role].sockets,
      rule: role === 'node' ? MOST_SOCKETS : flat(1, 0),
      by: 'most',
      isJudgedSoon: true,
    },
    { name: `threads of the ${role}`, unit: '', phase: 'rest', of: it => it[role].threads, rule: flat(1, 1) },
  ]),
  {
    name: 'files on the disk, at rest',
    unit: '',
    phase: 'rest',
    of: it => it.files,
    rule: flat(1, 0),
    isJudgedSoon: true,
  },
  ...(
    [
      ['folders of sandboxes, at rest', it => it.sandboxes],
      ['processes of tasks, at rest', it => it.resting?.taskProcesses],
      ['WebSockets, at rest', it => it.resting?.webSockets],
      ['subscriptions, at rest', it => it.resting?.subscriptions],
    ] satisfies [string, Series['of']][]
  ).map(([name, of]): Series => ({ name, unit: '', phase: 'rest', of, rule: ZERO, by: 'most', isJudgedSoon: true })),
  { name: 'tasks', unit: '', phase: 'rest', of: it => it.tasks },
  { name: 'etcd', unit: 'MB', phase: 'rest', of: it => it.etcd.bytes / MB },
  { name: 'etcd, in use', unit: 'MB', phase: 'rest', of: it => it.etcd.bytesInUse / MB },
  { name: 'objects in S3', unit: '', phase: 'rest', of: it => it.resting?.objects },
  { name: 'cache of workspaces', unit: 'MB', phase: 'rest', of: it => it.cacheBytes / MB },
];
