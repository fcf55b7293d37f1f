import type { S3Refusal } from '../support/s3-refusals.ts';

/** Faults that no act of the nemesis is, by the names that a report has for them. */
export const LONG_OUTAGE = 'etcd has no leader for 5 to 12 min';
export const RESTORE = 'etcd is restored from a backup';
export const BODY_CUT = 'objects: a body cut in its middle';

export function refusedBy({ name }: S3Refusal): string {
  return `objects: ${name}`;
}
