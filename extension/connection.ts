import type { ClusterView } from '../shared/api.ts';
import { type ErrorCode, describeError, isCiError } from '../shared/errors.ts';

/** A cluster that the user has chosen: how to call it, and at which of its nodes to begin. */
export interface ClusterChoice {
  /** Names the token in the secret storage: the address it was given for, or `local`. Behind one host there may be several clusters. */
  readonly id: string;
  readonly label: string;
  readonly urls: readonly string[];
}

/**
 * Where the extension stands with its cluster.
 *
 * - `none`: the user has chosen no cluster.
 * - `connecting`: nothing is known yet.
 * - `connected`: the last question was answered, and tasks and nodes are being pushed.
 * - `waiting`: no node answers; the next try comes by itself after `delayMs`.
 * - `refused`: a node answered that it will not have us: trying again the same way will not help.
 */
export type ConnectionState =
  | { readonly kind: 'none' }
  | { readonly kind: 'connecting'; readonly choice: ClusterChoice; readonly failures: number }
  | { readonly kind: 'connected'; readonly choice: ClusterChoice; readonly cluster: ClusterView }
  | {
      readonly kind: 'waiting';
      readonly choice: ClusterChoice;
      readonly failures: number;
      readonly reason: string;
      readonly delayMs: number;
    }
  | { readonly kind: 'refused'; readonly choice: ClusterChoice; readonly reason: string };

export type ConnectionEvent =
  | { readonly kind: 'chosen'; readonly choice: ClusterChoice | undefined }
  | { readonly kind: 'tried' }
  | { readonly kind: 'answered'; readonly cluster: ClusterView }
  | { readonly kind: 'failed'; readonly error: unknown; readonly random: number };

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 30_000;

/** Answers that will be the same next time: the user has to do something. */
const REFUSALS: readonly ErrorCode[] = ['unauthenticated', 'forbidden', 'invalid', 'newer-format'];

export function nextConnection(state: ConnectionState, event: ConnectionEvent): ConnectionState {
  if (event.kind === 'chosen') {
    return event.choice ? { kind: 'connecting', choice: event.choice, failures: 0 } : { kind: 'none' };
  }
  if (state.kind === 'none') return state;
  const { choice } = state;
  const failures = 'failures' in state ? state.failures : 0;
  switch (event.kind) {
    case 'tried':
      return state.kind === 'waiting' || state.kind === 'refused' ? { kind: 'connecting', choice, failures } : state;
    case 'answered':
      return { kind: 'connected', choice, cluster: event.cluster };
    case 'failed': {
      const reason = describeError(event.error);
      if (isCiError(event.error) && REFUSALS.includes(event.error.code)) return { kind: 'refused', choice, reason };
      const delayMs = delayAfter(failures + 1, event.random);
      return { kind: 'waiting', choice, failures: failures + 1, reason, delayMs };
    }
  }
}

/** Twice as long each time, by chance up to a half more or less, so that a hundred windows do not come back at once. */
function delayAfter(failures: number, random: number): number {
  return Math.round(Math.min(FIRST_DELAY_MS * 2 ** (failures - 1), LONGEST_DELAY_MS) * (0.5 + random));
}
