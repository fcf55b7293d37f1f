/** One line of a diagnosis. */
export interface Finding {
  readonly level: 'ok' | 'warning' | 'problem';
  /** What was looked at and what was seen, as one sentence. */
  readonly what: string;
  /** What to do about it. */
  readonly advice?: string;
}
