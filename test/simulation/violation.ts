import type { TaskId } from '../../shared/ids.ts';

/** The invariants, by the numbers of docs/reliability.md, and two more. */
export const INVARIANTS = [
  'I1',
  'I2',
  'I3',
  'I4',
  'I5',
  'I6',
  'I7',
  'I8',
  'I9',
  'I10',
  'I11',
  'I12',
  'I13',
  'I14',
  'I15',
  'I16',
  /** What the next release has written is lost by this one. */
  'two releases',
  /** Something was thrown that nobody should throw. */
  'no bug',
] as const;
export type Invariant = (typeof INVARIANTS)[number];

export interface Violation {
  readonly invariant: Invariant;
  readonly text: string;
  readonly task: TaskId | undefined;
}
