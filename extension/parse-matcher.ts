import * as l10n from '@vscode/l10n';
import { z } from 'zod';
import { describeIssue } from '../shared/describe-issue.ts';
import { CiError } from '../shared/errors.ts';
import { quote } from '../shared/ids.ts';
import { MATCHER_FIELDS, type ProblemMatcher, type ProblemPattern } from './problem-matcher.ts';

/** What is known by its name, as `$tsc` is: the values are as their authors wrote them. */
export interface NamedMatchers {
  readonly matchers: ReadonlyMap<string, unknown>;
  readonly patterns: ReadonlyMap<string, unknown>;
}

const group = z.int().min(0).max(99).optional();
const patternSchema = z.object({
  regexp: z.string().min(1).max(4000),
  kind: z.enum(['location', 'file']).optional(),
  loop: z.boolean().optional(),
  file: group,
  location: group,
  line: group,
  column: group,
  endLine: group,
  endColumn: group,
  severity: group,
  code: group,
  message: group,
});
const patternsSchema = z.array(patternSchema).min(1).max(20);
const locationKind = z.enum(['absolute', 'relative', 'autoDetect', 'search']);
/** What VS Code knows besides, such as `background`, means nothing for a log that is read to its end. */
const matcherSchema = z.object({
  base: z.string().optional(),
  owner: z.string().optional(),
  source: z.string().optional(),
  severity: z.enum(['error', 'warning', 'info']).optional(),
  fileLocation: z
    .union([locationKind, z.tuple([locationKind]).rest(z.union([z.string(), z.record(z.string(), z.unknown())]))])
    .optional(),
  /** A name, one expression, or one for each line. */
  pattern: z.unknown().optional(),
});
type Written = z.infer<typeof matcherSchema>;
type WrittenPattern = z.infer<typeof patternSchema>;

/** How often a matcher or a pattern may be made of another one. */
const MOST_BASES = 10;

/**
 * A problem matcher as VS Code understands it: the name of one, or one written out. Throws a CiError that says what is wrong with it.
 * @param where it is written, for messages
 */
export function parseMatcher(value: unknown, where: string, named: NamedMatchers): ProblemMatcher {
  const written = resolve(value, where, named, 0);
  if (written.pattern === undefined) throw wrong(where, l10n.t('it has no pattern'));
  const patterns = patternsOf(written.pattern, where, named, 0);
  checkPatterns(patterns, where);
  return {
    name: where,
    source: written.source ?? written.owner ?? 'problem matcher',
    severity: written.severity === 'info' ? 'information' : (written.severity ?? 'error'),
    folders: foldersOf(written.fileLocation),
    patterns,
  };
}

function resolve(value: unknown, where: string, named: NamedMatchers, depth: number): Written {
  if (depth > MOST_BASES) throw wrong(where, l10n.t('it is made of itself'));
  if (typeof value === 'string') return resolve(lookUp(value, where, named.matchers), where, named, depth + 1);
  const written = check(matcherSchema, value, where);
  if (written.base === undefined) return written;
  return { ...resolve(written.base, where, named, depth + 1), ...written };
}

function lookUp(name: string, where: string, known: ReadonlyMap<string, unknown>): unknown {
  const found = name.startsWith('$') ? known.get(name.slice(1)) : undefined;
  if (found === undefined) throw wrong(where, l10n.t('no extension that is installed has it: {0}', quote(name)));
  return found;
}

function patternsOf(pattern: unknown, where: string, named: NamedMatchers, depth: number): ProblemPattern[] {
  if (depth > MOST_BASES) throw wrong(where, l10n.t('it is made of itself'));
  if (typeof pattern === 'string')
    return patternsOf(lines(lookUp(pattern, where, named.patterns)), where, named, depth + 1);
  if (!Array.isArray(pattern))
    return [compile(withDefaults(check(patternSchema, pattern, where, ['pattern'])), where, 0)];
  const written = check(patternsSchema, pattern, where, ['pattern']);
  return written.map((one, at) => compile(one, where, at));
}

/** Several lines that have a name together are a list, or `patterns` of an object. */
function lines(found: unknown): unknown {
  return typeof found === 'object' && found !== null && 'patterns' in found ? found.patterns : found;
}

/** A single expression may leave it to VS Code where is what. */
function withDefaults(pattern: WrittenPattern): WrittenPattern {
  const place = pattern.location !== undefined || pattern.kind === 'file' ? {} : { line: 2, column: 3 };
  return { file: 1, message: 0, ...(pattern.line === undefined && place), ...pattern };
}

function compile(written: WrittenPattern, where: string, at: number): ProblemPattern {
  const groups = Object.fromEntries(
    MATCHER_FIELDS.flatMap(field => (written[field] === undefined ? [] : [[field, written[field]]])),
  );
  try {
    const { regexp, kind = 'location', loop = false } = written;
    return { expression: new RegExp(regexp), kind, loop, groups };
  } catch (error) {
    throw wrong(where, l10n.t('regular expression {0} is none: {1}', at + 1, (error as Error).message));
  }
}

function checkPatterns(patterns: readonly ProblemPattern[], where: string): void {
  if (patterns.slice(0, -1).some(({ loop }) => loop)) throw wrong(where, l10n.t('only its last pattern may be a loop'));
  if (patterns.length === 1 && patterns[0]?.loop) throw wrong(where, l10n.t('a loop needs a pattern before it'));
  const has = (field: 'file' | 'message' | 'line' | 'location') => patterns.some(({ groups }) => field in groups);
  const missing = [
    ...(has('file') ? [] : ['file']),
    ...(has('message') ? [] : ['message']),
    ...(has('line') || has('location') || patterns[0]?.kind === 'file' ? [] : [l10n.t('line or location')]),
  ];
  if (missing.length > 0) throw wrong(where, l10n.t('no pattern has a group for {0}', missing.join(', ')));
}

/** `["relative", "${workspaceFolder}/app"]`: paths are counted from app/. The node's own folders mean nothing here. */
function foldersOf(location: Written['fileLocation']): string[] {
  if (!Array.isArray(location)) return [''];
  const [, place] = location;
  const include = typeof place === 'object' ? place.include : place;
  const folders = (Array.isArray(include) ? include : [include]).filter(one => typeof one === 'string');
  const within = folders.map(folder => folder.replace(/^\$\{(?:workspaceFolder|workspaceRoot|cwd)\}\/?/, ''));
  return within.length > 0 ? within : [''];
}

/** @param path of the value within the matcher */
function check<T>(schema: z.ZodType<T>, value: unknown, where: string, path: readonly string[] = []): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const part = [...path, ...(issue?.path ?? [])].join('.') || 'it';
  throw wrong(where, `${part} ${issue ? describeIssue(issue, value) : l10n.t('is wrong')}`);
}

function wrong(where: string, why: string): CiError {
  return new CiError('invalid', l10n.t`Cannot use ${where} as ${why}`);
}
