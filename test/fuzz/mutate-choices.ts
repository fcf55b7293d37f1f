import type { Draw } from '../faults/draw.ts';
import { type Choice, chanceOf } from './choices.ts';

/** What mutations draw on besides the choices themselves. */
interface Sources {
  readonly draw: Draw;
  /** Other inputs that were worth keeping. */
  readonly corpus: readonly (readonly Choice[])[];
  /** What the product's own source compares with. */
  readonly words: readonly (string | number)[];
}

type Mutation = (choices: Choice[], sources: Sources) => void;

const MOST_CHOICES = 20_000;
/** How often one mutation is followed by another. */
const MORE = 0.5;

const MUTATIONS: readonly Mutation[] = [
  function another(choices, { draw }) {
    const at = placeIn(choices, draw);
    const { of } = choices[at]!;
    choices[at] = { of, value: chanceOf(draw)(of) };
  },
  function nearby(choices, { draw }) {
    const at = placeIn(choices, draw);
    const { value, of } = choices[at]!;
    choices[at] = { of, value: Math.abs(value + draw.of([-4, -3, -2, -1, 1, 2, 3, 4])) % of };
  },
  function bit(choices, { draw }) {
    const at = placeIn(choices, draw);
    const { value, of } = choices[at]!;
    const changed = Math.abs(value ^ (1 << draw.whole(0, Math.min(30, Math.log2(of)))));
    choices[at] = { of, value: changed % of };
  },
  function extreme(choices, { draw }) {
    const at = placeIn(choices, draw);
    const { of } = choices[at]!;
    choices[at] = { of, value: draw.of([0, 1, of - 1, Math.max(0, of - 2), Math.floor(of / 2)]) % of };
  },
  function cut(choices, { draw }) {
    splice(choices, placeIn(choices, draw), lengthOf(draw), []);
  },
  function again(choices, { draw }) {
    const from = placeIn(choices, draw);
    splice(choices, draw.whole(0, choices.length), 0, choices.slice(from, from + lengthOf(draw)));
  },
  function exchange(choices, { draw, corpus }) {
    const other = draw.of(corpus);
    const from = placeIn(other, draw);
    const part = other.slice(from, from + lengthOf(draw));
    splice(choices, placeIn(choices, draw), draw.of([0, part.length]), part);
  },
  function cross(choices, { draw, corpus }) {
    const other = draw.of(corpus);
    const at = placeIn(choices, draw);
    choices.splice(at, choices.length, ...other.slice(draw.of([at, placeIn(other, draw)])));
  },
  function word(choices, { draw, words }) {
    if (words.length === 0) return;
    const at = placeIn(choices, draw);
    const { of } = choices[at]!;
    const word = draw.of(words);
    const values =
      typeof word === 'number' ? [Math.abs(Math.trunc(word))] : Array.from(word, one => one.codePointAt(0)!);
    const letters = values.map(value => ({ of, value: value % of }));
    splice(choices, at, draw.of([0, letters.length]), letters);
  },
];

export function mutated(choices: readonly Choice[], sources: Sources): number[] {
  const changed = [...choices];
  do sources.draw.of(MUTATIONS)(changed, sources);
  while (changed.length > 0 && sources.draw.number() < MORE);
  return changed.slice(0, MOST_CHOICES).map(({ value }) => value);
}

/** What is put into a row, or taken out of it, is counted where the row begins: before what is drawn from equally many. */
function splice(choices: Choice[], at: number, count: number, by: readonly Choice[]): void {
  const row = (choices[at] ?? choices.at(-1))?.of;
  let start = at;
  while (start > 0 && choices[start - 1]!.of === row) start--;
  const length = choices[start - 1];
  const removed = choices.splice(at, count, ...by);
  const value = (length?.value ?? 0) + by.length - removed.length;
  if (length && value >= 0 && value < length.of) choices[start - 1] = { ...length, value };
}

function placeIn(choices: readonly Choice[], draw: Draw): number {
  return draw.whole(0, choices.length - 1);
}

/** Short ones more often. */
function lengthOf(draw: Draw): number {
  return draw.whole(1, 2 ** draw.whole(0, 6));
}
