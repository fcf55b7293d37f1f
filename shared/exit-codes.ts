import type { Outcome } from './result.ts';

/**
 * What `simple-ci`, and a task of VS Code, ends with; an outside contract. 1 is kept for "the task ran and failed" (and for a
 * doctor who found something), so that a script never takes a wrong token for a failing test.
 */
export const EXIT = {
  passed: 0,
  failed: 1,
  /** The command line, the task file, the token or the id is wrong: asking again the same way will not help. */
  usage: 2,
  /** The cluster cannot be reached, or lost the task: asking again later may help. Also a bug of ours. */
  unavailable: 3,
  timedOut: 4,
  /** Cancelled, or interrupted by Ctrl-C. */
  cancelled: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export function exitCodeOfOutcome(outcome: Outcome): ExitCode {
  switch (outcome) {
    case 'passed':
      return EXIT.passed;
    case 'failed':
    case 'crashed':
      return EXIT.failed;
    case 'invalid':
      return EXIT.usage;
    case 'timed-out':
    case 'idle-timed-out':
      return EXIT.timedOut;
    case 'cancelled':
      return EXIT.cancelled;
    case 'infrastructure-lost':
    case 'dead-lettered':
      return EXIT.unavailable;
  }
}
