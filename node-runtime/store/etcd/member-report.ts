import type { IStatusResponse } from 'etcd3';
import type { EtcdMetrics } from './etcd-metrics.ts';

/** What was seen of one member of etcd by asking it. */
export interface MemberReport {
  readonly address: string;
  readonly status: IStatusResponse;
  /** Such as NOSPACE. */
  readonly alarms: readonly string[];
  readonly writing: Writing;
  /** Ids of all members that it knows; undefined when it does not tell. */
  readonly members?: readonly string[];
  /** Undefined when it serves none at its client address. */
  readonly metrics?: EtcdMetrics;
  /** What it was started with; undefined when it does not tell. */
  readonly commandLine?: readonly string[];
  /** How long ago it was started, in milliseconds. */
  readonly upForMs?: number;
  /** By how many milliseconds our clock is ahead of its. */
  readonly ahead?: number;
}

export type Writing =
  /** Without a leader nobody can. */
  | { readonly kind: 'not tried' }
  /** Milliseconds, in rising order. */
  | { readonly kind: 'took'; readonly times: readonly number[] }
  /** It refused, or nobody knows. */
  | { readonly kind: 'failed'; readonly message: string; readonly isUnclear: boolean };
