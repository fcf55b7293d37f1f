import type { Problem } from './problem-scanner.ts';

/** What VS Code calls a problem matcher, checked and ready for use. */
export interface ProblemMatcher {
  /** For people: where it is written, or what it is called. */
  readonly name: string;
  /** Who speaks of the problems. */
  readonly source: string;
  /** Where the expression has no group for it, or the group no word that is known. */
  readonly severity: Problem['severity'];
  /** Folders of the workspace that relative paths may be counted from. */
  readonly folders: readonly string[];
  /** One for each line of a message. Only the last may be a loop. */
  readonly patterns: readonly ProblemPattern[];
}

export interface ProblemPattern {
  readonly expression: RegExp;
  /** `file`: the message is about a whole file. */
  readonly kind: 'location' | 'file';
  readonly loop: boolean;
  /** Which group of the expression has what. */
  readonly groups: Readonly<Partial<Record<MatcherField, number>>>;
}

export const MATCHER_FIELDS = [
  'file',
  'location',
  'line',
  'column',
  'endLine',
  'endColumn',
  'severity',
  'code',
  'message',
] as const;
export type MatcherField = (typeof MATCHER_FIELDS)[number];

type Found = Readonly<Partial<Record<MatcherField, string>>>;

/** What a matcher keeps from line to line: the last lines, and, while the last pattern repeats, what the ones before it have found. */
export interface MatcherState {
  readonly lines: readonly string[];
  readonly repeating?: Found;
}

export const NOTHING_SEEN: MatcherState = { lines: [] };

/** Reads the next line. Nothing is changed: whoever is interrupted begins again with the state of before. */
export function readLine(
  matcher: ProblemMatcher,
  state: MatcherState,
  line: string,
): [MatcherState, Problem | undefined] {
  const { patterns } = matcher;
  if (state.repeating) {
    const found = fieldsIn(line, patterns.at(-1)!, state.repeating);
    if (found) return [state, problemOf(matcher, found)];
  }
  const lines = [...state.lines, line].slice(-patterns.length);
  if (lines.length < patterns.length) return [{ lines }, undefined];
  const first = allFields(lines.slice(0, -1), patterns);
  const found = first && fieldsIn(line, patterns.at(-1)!, first);
  if (!found) return [{ lines }, undefined];
  const next = patterns.at(-1)!.loop ? { lines: [], repeating: first } : NOTHING_SEEN;
  return [next, problemOf(matcher, found)];
}

function allFields(lines: readonly string[], patterns: readonly ProblemPattern[]): Found | undefined {
  let found: Found | undefined = {};
  for (const [at, line] of lines.entries()) found = found && fieldsIn(line, patterns[at]!, found);
  return found;
}

/** What the line adds to what was found before it: of each field the first counts, and messages add up. */
function fieldsIn(line: string, { expression, groups, kind }: ProblemPattern, before: Found): Found | undefined {
  const match = expression.exec(line);
  if (!match) return undefined;
  const found: Partial<Record<MatcherField, string>> = { ...before };
  for (const field of MATCHER_FIELDS) {
    const text = groups[field] === undefined ? undefined : match[groups[field]]?.trim();
    if (text === undefined || text === '') continue;
    if (found[field] === undefined) found[field] = text;
    else if (field === 'message') found.message = `${found.message}\n${text}`;
  }
  return kind === 'file' ? { line: '1', ...found } : found;
}

/** Undefined if it does not say where. */
function problemOf(matcher: ProblemMatcher, found: Found): Problem | undefined {
  const { file, message, code } = found;
  const place =
    found.location === undefined ? [found.line, found.column, found.endLine, found.endColumn] : cut(found.location);
  const [line, column, endLine, endColumn] = place.map(number);
  if (file === undefined || message === undefined || line === undefined) return undefined;
  return {
    path: file,
    folders: matcher.folders,
    line,
    column: column ?? 1,
    ...(endColumn !== undefined && { end: { line: endLine ?? line, column: endColumn } }),
    severity: severityOf(found.severity) ?? matcher.severity,
    message,
    source: matcher.source,
    ...(code !== undefined && { code }),
  };
}

/** `12`, `12,5`, or `12,5,12,9`. */
function cut(location: string): (string | undefined)[] {
  const parts = location.split(',');
  return parts.length === 3 ? [parts[0], parts[1], undefined, parts[2]] : parts;
}

function number(text: string | undefined): number | undefined {
  const value = Number(text);
  return text !== undefined && Number.isInteger(value) && value > 0 ? value : undefined;
}

function severityOf(word: string | undefined): Problem['severity'] | undefined {
  const letter = word?.toLowerCase();
  if (letter === undefined) return undefined;
  if (/^(?:e|err|error|fatal.*)$/.test(letter)) return 'error';
  if (/^(?:w|warn|warning)$/.test(letter)) return 'warning';
  return /^(?:i|info|information|note|hint)$/.test(letter) ? 'information' : undefined;
}
