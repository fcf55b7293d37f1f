const WIDTH = 120;

/** JSON as this repository formats it: objects on lines of their own, lists of words on one line where they fit. */
export function formatJson(value: unknown): string {
  return `${format(value, '', 0)}\n`;
}

/** @param taken columns of the line that stand before and after the value */
function format(value: unknown, indent: string, taken: number): string {
  const inner = `${indent}  `;
  if (Array.isArray(value)) {
    const line = `[${value.map(item => JSON.stringify(item)).join(', ')}]`;
    const isFlat = value.every(item => typeof item !== 'object' || item === null);
    if (isFlat && indent.length + taken + line.length <= WIDTH) return line;
    return `[\n${value.map(item => inner + format(item, inner, 1)).join(',\n')}\n${indent}]`;
  }
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  if (entries.length === 0) return '{}';
  const lines = entries.map(([key, item]) => {
    const name = `${JSON.stringify(key)}: `;
    return inner + name + format(item, inner, name.length + 1);
  });
  return `{\n${lines.join(',\n')}\n${indent}}`;
}
