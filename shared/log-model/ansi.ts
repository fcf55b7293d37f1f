/** How a stretch of text looks. Colours 0 to 15 are the theme's; others are told as `#rrggbb`. */
export interface TextStyle {
  readonly foreground?: number | string;
  readonly background?: number | string;
  readonly bold?: true;
  readonly dim?: true;
  readonly italic?: true;
  readonly underline?: true;
  readonly inverse?: true;
  readonly strike?: true;
  /** Where a hyperlink of the program leads: https or http only. */
  readonly link?: string;
}

export interface StyledText {
  readonly text: string;
  readonly style: TextStyle;
}

export interface StyledLine {
  readonly spans: readonly StyledText[];
  /** In which the next line begins. */
  readonly style: TextStyle;
}

export const PLAIN: TextStyle = {};

/**
 * One line of output as it is shown: colours and links understood, all other control sequences dropped, and of what was written
 * over by carriage returns the last state. Characters that change the direction of text are dropped too. Linear in its length.
 */
export function styleLine(line: string, start: TextStyle): StyledLine {
  if (!NEEDS_CARE.test(line)) return { spans: line === '' ? [] : [{ text: line, style: start }], style: start };
  let style = start;
  let spans: StyledText[] = [];
  let overwritten: StyledText[] = [];
  let at = 0;
  const add = (text: string) => {
    if (text !== '') spans.push({ text, style });
  };
  for (const match of line.matchAll(SEQUENCE)) {
    add(line.slice(at, match.index));
    at = match.index + match[0].length;
    const [sequence, parameters, link] = match;
    if (sequence === '\r') {
      if (spans.length > 0) overwritten = spans;
      spans = [];
    } else if (parameters !== undefined) style = applySgr(style, parameters);
    else if (link !== undefined) style = withLink(style, link);
  }
  add(line.slice(at));
  return { spans: spans.length > 0 ? spans : overwritten, style };
}

/** What people read of a line: as `styleLine` has it, without the colours. */
export function plainLine(line: string): string {
  if (!NEEDS_CARE.test(line)) return line;
  return styleLine(line, PLAIN)
    .spans.map(({ text }) => text)
    .join('');
}

const CONTROL = String.raw`[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]`;
const NEEDS_CARE = new RegExp(CONTROL);
const SGR = String.raw`\u001b\[([0-9;:]{0,64})m`;
const LINK = String.raw`\u001b\]8;[^;\u0007\u001b]{0,200};([^\u0007\u001b]{0,2000})(?:\u0007|\u001b\\)`;
const CSI = String.raw`(?:\u001b\[|\u009b)[\u0030-\u003f]*[\u0020-\u002f]*[\u0040-\u007e]`;
/** OSC, DCS, SOS, PM, APC. None holds the beginning of another, so that a search stays linear. */
const STRING = String.raw`(?:\u001b[\]PX^_]|[\u0090\u0098\u009d-\u009f])[^\u0007\u001b\u0090\u0098\u009c-\u009f]*(?:\u0007|\u009c|\u001b\\)`;
const ESCAPE = String.raw`\u001b[\u0020-\u002f]*[\u0030-\u007e]`;
const SEQUENCE = new RegExp(`${SGR}|${LINK}|${CSI}|${STRING}|${ESCAPE}|${CONTROL}`, 'g');

function withLink({ link: _, ...style }: TextStyle, address: string): TextStyle {
  return /^https?:\/\/[^\s]+$/.test(address) ? { ...style, link: address } : style;
}

function applySgr(style: TextStyle, parameters: string): TextStyle {
  const codes = parameters.split(/[;:]/).map(code => (code === '' ? 0 : Number(code)));
  let next: Mutable<TextStyle> = { ...style };
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i]!;
    if (code === 38 || code === 48) {
      const { color, taken } = extendedColor(codes.slice(i + 1));
      if (color !== undefined) next[code === 38 ? 'foreground' : 'background'] = color;
      i += taken;
    } else next = applyCode(next, code);
  }
  return next;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type Attribute = 'bold' | 'dim' | 'italic' | 'underline' | 'inverse' | 'strike';

const ON: Readonly<Record<number, Attribute>> = {
  1: 'bold',
  2: 'dim',
  3: 'italic',
  4: 'underline',
  7: 'inverse',
  9: 'strike',
  21: 'underline',
};
const OFF: Readonly<Record<number, readonly (keyof TextStyle)[]>> = {
  22: ['bold', 'dim'],
  23: ['italic'],
  24: ['underline'],
  27: ['inverse'],
  29: ['strike'],
  39: ['foreground'],
  49: ['background'],
};

function applyCode(style: Mutable<TextStyle>, code: number): Mutable<TextStyle> {
  // A reset ends colours, not a link.
  if (code === 0) return style.link === undefined ? {} : { link: style.link };
  const on = ON[code];
  if (on !== undefined) style[on] = true;
  for (const name of OFF[code] ?? []) delete style[name];
  if (code >= 30 && code <= 37) style.foreground = code - 30;
  if (code >= 90 && code <= 97) style.foreground = code - 82;
  if (code >= 40 && code <= 47) style.background = code - 40;
  if (code >= 100 && code <= 107) style.background = code - 92;
  return style;
}

/** What follows 38 or 48: `5;N`, or `2;R;G;B`. */
function extendedColor([kind, ...rest]: readonly number[]): { color?: number | string; taken: number } {
  if (kind === 5) {
    const [index = -1] = rest;
    const color = paletteColor(index);
    return { taken: 2, ...(color !== undefined && { color }) };
  }
  if (kind === 2) {
    const channels = rest.slice(0, 3);
    const isColor = channels.length === 3 && channels.every(channel => channel >= 0 && channel <= 255);
    return { taken: 4, ...(isColor && { color: hex(channels) }) };
  }
  return { taken: 1 };
}

/** Of the 256: 16 of the theme, a cube of 6 × 6 × 6, and 24 greys. */
function paletteColor(index: number): number | string | undefined {
  if (!(index >= 0 && index <= 255)) return undefined;
  if (index < 16) return index;
  if (index >= 232) return hex(Array(3).fill(8 + (index - 232) * 10));
  const steps = [0, 95, 135, 175, 215, 255];
  const at = index - 16;
  return hex([steps[Math.floor(at / 36)]!, steps[Math.floor(at / 6) % 6]!, steps[at % 6]!]);
}

function hex(channels: readonly number[]): string {
  return `#${channels.map(channel => channel.toString(16).padStart(2, '0')).join('')}`;
}
