/**
 * Turns what a program printed into text that can only be looked at: a log can otherwise retitle windows, write to the
 * clipboard, fake links and hide lines. Of the control characters it keeps line ends, tabs and, if wanted, colours (SGR);
 * a carriage return, with which a line is written over, starts a new line; characters that change the direction of text go.
 * Bytes that are not UTF-8 become U+FFFD. Works on a stream cut anywhere.
 */
export class SafeText {
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  readonly #keepColors: boolean;
  /** The beginning of a control sequence whose end has not come yet. */
  #rest = '';

  constructor(keepColors: boolean) {
    this.#keepColors = keepColors;
  }

  push(bytes: Uint8Array): string {
    return this.#clean(this.#rest + this.#decoder.decode(bytes, { stream: true }));
  }

  /** What was held back, made harmless. */
  end(): string {
    const text = this.#rest + this.#decoder.decode();
    this.#rest = '';
    return text.replace(CONTROL, '');
  }

  #clean(text: string): string {
    this.#rest = UNFINISHED.exec(text)?.[0] ?? '';
    const whole = text.slice(0, text.length - this.#rest.length);
    return whole.replace(SEQUENCE, found => this.#replacement(found));
  }

  #replacement(found: string): string {
    if (found === '\r\n' || found === '\r') return '\n';
    return this.#keepColors && COLOR.test(found) ? found : '';
  }
}

/**
 * A sequence whose inside is longer is none: it is not waited for, and printed without its beginning. So the same output is
 * the same text, however it was cut.
 */
const LONGEST_INSIDE = 4096;
/** As many characters between the ESC and the last character of a short sequence. */
const LONGEST_MIDDLE = 16;
const COLOR = /^\u001b\[[0-9;:]{0,64}m$/;

const MIDDLE = String.raw`[\u0020-\u002f]{0,${LONGEST_MIDDLE}}`;
const CSI = String.raw`(?:\u001b\[|\u009b)[\u0030-\u003f]{0,${LONGEST_INSIDE}}${MIDDLE}[\u0040-\u007e]`;
/** OSC, DCS, SOS, PM, APC: up to BEL or ST. None holds the beginning of another, so that a search stays linear. */
const STRING = String.raw`(?:\u001b[\]PX^_]|[\u0090\u0098\u009d-\u009f])[^\u0007\u001b\u0090\u0098\u009c-\u009f]{0,${LONGEST_INSIDE}}(?:\u0007|\u009c|\u001b\\)`;
const ESCAPE = String.raw`\u001b${MIDDLE}[\u0030-\u007e]`;
const SINGLE = String.raw`[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]`;
const SEQUENCE = new RegExp(String.raw`\r\n|${CSI}|${STRING}|${ESCAPE}|${SINGLE}`, 'g');
const CONTROL = new RegExp(SINGLE, 'g');
/** What may become a sequence yet: the last of the text. */
const UNFINISHED = new RegExp(
  String.raw`(?:\r|\u001b${MIDDLE}|(?:\u001b\[|\u009b)[\u0020-\u003f]{0,${LONGEST_INSIDE + LONGEST_MIDDLE}}|(?:\u001b[\]PX^_]|[\u0090\u0098\u009d-\u009f])[^\u0007\u001b\u0090\u0098\u009c-\u009f]{0,${LONGEST_INSIDE}}\u001b?)$`,
);
