/**
 * A pool is all nodes with the same labels: what a Deployment starts is one pool, and what is scaled together. Its name says its
 * labels, and can be the value of a label in Kubernetes unless it is longer than 63 characters or ends with `_ . -`: the labels
 * in order, joined by `_`, with `_` in them as `__`, `/` as `_.` and `=` as `_-`.
 */
export function poolName(labels: Iterable<string>): string {
  const sorted = [...new Set(labels)].sort();
  if (sorted.length === 0) return NO_LABELS;
  const name = sorted.map(label => label.replace(/[_/=]/g, character => ESCAPES[character]!)).join('_');
  return name === NO_LABELS ? `${name}_` : name;
}

/** The labels that a pool's name says. A label starts with a letter or digit, so a lone `_` before one of those parts two. */
export function poolLabels(name: string): string[] {
  if (name === NO_LABELS) return [];
  const labels = [''];
  for (const [part] of name.matchAll(/__|_\.|_-|_|[^_]+/g)) {
    if (part === '_') labels.push('');
    else labels[labels.length - 1] += CHARACTERS[part] ?? part;
  }
  return labels.filter(label => label !== '');
}

/** The pool of the nodes without labels. */
const NO_LABELS = 'default';
const ESCAPES: Readonly<Record<string, string>> = { _: '__', '/': '_.', '=': '_-' };
const CHARACTERS: Readonly<Record<string, string>> = { __: '_', '_.': '/', '_-': '=' };
