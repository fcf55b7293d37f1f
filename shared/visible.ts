/** What ends a line, steers a terminal or turns the direction of text. */
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/** A text as it can be shown on one line: what cannot be seen in it is a number. */
export function visible(text: string): string {
  return text.replace(UNSEEN, one => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
