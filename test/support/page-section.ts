/** Parts of a page in docs/ that programs write, so that no number there is typed. */

/** @throws where the page has no place of that name: `<!-- NAME: … -->` and `<!-- end -->` around it */
export function replaceSection(page: string, name: string, content: string): string {
  const pattern = new RegExp(`(<!-- ${name}: .* -->\n)[^]*?(\n<!-- end -->)`);
  if (!pattern.test(page)) throw new Error(`Cannot write a section as the page has no place for it: "${name}"`);
  return page.replace(pattern, (_whole, begin: string, end: string) => `${begin}\n${content}\n${end}`);
}

export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) => Math.max(3, title.length, ...rows.map(row => row[column]!.length)));
  const line = (cells: readonly string[]) => `| ${cells.map((cell, at) => cell.padEnd(widths[at]!)).join(' | ')} |`;
  return [line(head), line(widths.map(width => '-'.repeat(width))), ...rows.map(line)].join('\n');
}

/** A number as people read it, with so many digits after the point that three or more are told in all. */
export function amount(value: number): string {
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return value.toLocaleString('en', { maximumFractionDigits: digits });
}
