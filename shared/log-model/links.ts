/** Something in a line that leads somewhere. */
export type TextLink =
  | { readonly kind: 'address'; readonly start: number; readonly end: number; readonly address: string }
  | {
      readonly kind: 'file';
      readonly start: number;
      readonly end: number;
      readonly path: string;
      /** Counted from 1. */
      readonly line?: number;
      readonly column?: number;
    };

/** Longer lines are searched up to here only: a row that is drawn must cost little. */
const MOST_CHARACTERS = 4000;
const ADDRESS = /\bhttps?:\/\/[^\s<>"'`\u0000-\u001f]+[^\s<>"'`.,;:!?)\]}\u0000-\u001f]/g;
/** `src/a.ts:3:5`, `./a.py:3`, `/abs/a.go:3`, `a.ts(3,5)`: with an ending, and with a line. */
const FILE =
  /(?<![\w@.+-])((?:\.{0,2}\/)?(?:[\w@.+-]+\/){0,30}[\w@+-][\w@.+-]{0,200}\.[A-Za-z]\w{0,9})(?::(\d{1,7})(?::(\d{1,5}))?|\((\d{1,7})(?:,(\d{1,5}))?\))/g;
/** Python: `File "a.py", line 3`. */
const PYTHON = /\bFile "([^"\n]{1,500})", line (\d{1,7})/g;

/** Addresses and places in files that a line names, in order and apart from each other. */
export function findLinks(line: string): TextLink[] {
  const text = line.slice(0, MOST_CHARACTERS);
  const found: TextLink[] = [];
  const add = (link: TextLink) => {
    if (!found.some(other => link.start < other.end && other.start < link.end)) found.push(link);
  };
  for (const { index, 0: address } of text.matchAll(ADDRESS))
    add({ kind: 'address', start: index, end: index + address.length, address });
  for (const { index, 0: all, 1: path = '', 2: line } of text.matchAll(PYTHON))
    add({ kind: 'file', start: index, end: index + all.length, path, line: Number(line) });
  for (const { index, 0: all, 1: path = '', 2: a, 3: b, 4: c, 5: d } of text.matchAll(FILE)) {
    const row = a ?? c;
    const column = b ?? d;
    add({
      kind: 'file',
      start: index,
      end: index + all.length,
      path,
      ...(row !== undefined && { line: Number(row) }),
      ...(column !== undefined && { column: Number(column) }),
    });
  }
  return found.sort((one, other) => one.start - other.start);
}
