import { PLAIN, styleLine, type TextStyle } from './ansi.ts';
import type { OutputLine } from './line-reader.ts';
import { matchesIn } from './log-search.ts';
import { findLinks, type TextLink } from './links.ts';

/** A stretch of a row that looks the same and leads to the same place. */
export interface RowText {
  readonly text: string;
  readonly style: TextStyle;
  readonly link?: TextLink;
  readonly isHit: boolean;
}

/** More of one line is not drawn. Characters. */
const MOST_CHARACTERS = 8192;

/** The text of a row in stretches: colours, links and what was searched for, laid over each other. */
export function rowText({ text, style }: Pick<OutputLine, 'text' | 'style'>, wanted: RegExp | undefined): RowText[] {
  const { spans } = styleLine(text.slice(0, MOST_CHARACTERS), style);
  const whole = spans.map(span => span.text).join('');
  const links = linksOf(spans, whole);
  const hits = wanted ? hitsIn(whole, wanted) : [];
  const cuts = new Set([0, whole.length]);
  for (const { start, end } of [...links, ...hits]) cuts.add(start).add(end);
  let at = 0;
  const styles = spans.map(({ text: part, style: look }) => {
    const start = at;
    at += part.length;
    return { start, end: at, style: look };
  });
  for (const { start } of styles) cuts.add(start);
  const edges = [...cuts].sort((a, b) => a - b);
  return edges.slice(0, -1).map((start, i) => {
    const link = links.find(one => one.start <= start && start < one.end);
    return {
      text: whole.slice(start, edges[i + 1]),
      style: styles.find(one => one.start <= start && start < one.end)?.style ?? PLAIN,
      isHit: hits.some(one => one.start <= start && start < one.end),
      ...(link && { link }),
    };
  });
}

/** Links that the program made itself go before those that are found in the text. */
function linksOf(spans: readonly { readonly text: string; readonly style: TextStyle }[], whole: string): TextLink[] {
  const links: TextLink[] = [];
  let at = 0;
  for (const { text, style } of spans) {
    const start = at;
    at += text.length;
    if (style.link !== undefined) links.push({ kind: 'address', start, end: at, address: style.link });
  }
  const found = findLinks(whole).filter(link => !links.some(own => link.start < own.end && own.start < link.end));
  return [...links, ...found];
}

function hitsIn(text: string, wanted: RegExp): { start: number; end: number }[] {
  return matchesIn(text, wanted).flatMap(({ index, 0: found }) =>
    found === '' ? [] : [{ start: index, end: index + found.length }],
  );
}
