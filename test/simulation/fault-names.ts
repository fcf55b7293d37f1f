/** Faults that no act of the nemesis is, by the names that a report has for them. */
export const LONG_OUTAGE = 'etcd has no leader for 5 to 12 min';
export const RESTORE = 'etcd is restored from a backup';
export const BODY_CUT = 'objects: a body cut in its middle';
