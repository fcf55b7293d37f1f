/** How a step can end. Apart from the schemas, so that whoever only looks at a log need not load them. */
export const STEP_OUTCOMES = [
  'passed',
  'failed',
  'timed-out',
  'idle-timed-out',
  'cancelled',
  'crashed',
  'skipped',
] as const;
