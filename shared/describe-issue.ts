import type { z } from 'zod';
import { quote } from './ids.ts';

type Issue = z.core.$ZodIssue;

const TYPES: Readonly<Record<string, string>> = {
  array: 'a list',
  boolean: 'true or false',
  int: 'a whole number',
  number: 'a number',
  object: 'a map',
  record: 'a map',
  string: 'a string',
};

/**
 * What is wrong with a part of `root`, as people would say it: what it must be, and what it is if that is short. To be read
 * after the name of the part: `must be at most 9: 10`, `is missing`. Values that may be secret are left out.
 */
export function describeIssue(issue: Issue, root: unknown): string {
  const value = valueAt(root, issue.path);
  if (value === undefined && issue.code !== 'invalid_key') return 'is missing';
  const isShown = issue.code !== 'invalid_key' && !(value instanceof Object) && !mayBeSecret(issue.path, value);
  return `${sentence(issue)}${isShown ? `: ${quote(withoutPassword(value))}` : ''}`;
}

/** Values of variables and of secrets are nothing to print, but for a variable that is no text: it is to be found and quoted. */
function mayBeSecret(path: readonly PropertyKey[], value: unknown): boolean {
  return path.includes('value') || (path.includes('env') && typeof value === 'string');
}

/** An address that is refused for its password is not told with it: the refusal ends up in logs. */
function withoutPassword(value: unknown): unknown {
  return typeof value === 'string' ? value.replace(/:\/\/[\s\S]*@/, '://…@') : value;
}

function sentence(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${TYPES[issue.expected] ?? issue.expected}`;
    case 'too_big':
      return `must ${amount(issue.origin, `at most ${issue.maximum}`)}`;
    case 'too_small':
      return issue.minimum === 1 && issue.origin !== 'number' && issue.origin !== 'int'
        ? 'must not be empty'
        : `must ${amount(issue.origin, `at least ${issue.minimum}`)}`;
    case 'invalid_value':
      return `must be ${oneOf(issue.values)}`;
    case 'invalid_key':
      return issue.issues[0] ? `has a name that ${issue.issues[0].message}` : issue.message;
    case 'invalid_union':
      return union(issue);
    default:
      return issue.message;
  }
}

function amount(origin: string, limit: string): string {
  if (origin === 'string') return `have ${limit} characters`;
  return origin === 'array' ? `have ${limit} entries` : `be ${limit}`;
}

/** The ways in which it could have been right, each once. */
function union(issue: Extract<Issue, { code: 'invalid_union' }>): string {
  const ways = issue.errors.flatMap(errors => errors.slice(0, 1).map(sentence));
  const own = [...new Set(ways)].map((way, index) => (index === 0 ? way : way.replace(/^must be /, '')));
  if (own.length > 0) return own.join(' or ');
  const options = (issue as { options?: unknown }).options;
  return Array.isArray(options) ? `must be ${oneOf(options)}` : issue.message;
}

function oneOf(values: readonly unknown[]): string {
  const words = values.map(quote);
  return words.length === 1 ? words[0]! : `one of ${words.join(', ')}`;
}

function valueAt(root: unknown, path: readonly PropertyKey[]): unknown {
  let value = root;
  for (const part of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
    value = (value as Record<PropertyKey, unknown>)[part];
  }
  return value;
}
