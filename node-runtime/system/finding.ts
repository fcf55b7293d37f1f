/** One line of a diagnosis. */
export interface Finding {
  readonly level: 'ok' | 'warning' | 'problem';
  /** What was looked at, in a word or two. */
  readonly subject: string;
  /** What was seen or measured. */
  readonly what: string;
  /** What to do about it. */
  readonly advice?: string;
}
