import type { LogLineName } from '../shared/log-model/panel-messages.ts';
import type { Row } from './row.ts';
import type { RowElement } from './row-tree.ts';

/** What menus and clicks give to a command: the row, or nothing from the palette. */
export type Given = { readonly row: Row } | RowElement | undefined;

/** What the menu of a log's line gives: the line. */
export type GivenLine = Given | (LogLineName & { readonly task: string });

/** Menus of editors give the address of what they show. */
export function rowOf(given: GivenLine): Row | undefined {
  return typeof given === 'object' && 'row' in given ? given.row : undefined;
}

/** The line whose menu was opened. */
export function lineOf(given: GivenLine) {
  return typeof given === 'object' && 'offset' in given ? given : undefined;
}
