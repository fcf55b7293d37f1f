import type { Finding } from '../system/finding.ts';
import { count } from '../../shared/amounts.ts';
import type { Style } from './style.ts';
import { textWidth, wrap } from './text-width.ts';

/** Room for the longest subject, so that all that is said begins in one column. */
const SUBJECT = 12;
const INDENT = SUBJECT + 6;
/** Where less is left for what is said, it goes below its subject. */
const LEAST = 24;
const NARROW_INDENT = 4;

/**
 * Lines of findings: a sign, the subject, what was seen, and below it what to do.
 * @param width of the terminal; undefined when it is none, and nothing needs to fit
 */
export function formatFindings(findings: readonly Finding[], width: number | undefined, style: Style): string[] {
  return findings.flatMap(finding => formatFinding(finding, width ?? Number.POSITIVE_INFINITY, style));
}

function formatFinding({ level, subject, what, advice }: Finding, width: number, style: Style): string[] {
  const sign = { ok: style.green('✓'), warning: style.yellow('!'), problem: style.red('✗') }[level];
  const head = `  ${sign} ${subject}`;
  const isNarrow = width - INDENT < LEAST;
  const indent = ' '.repeat(isNarrow ? NARROW_INDENT : INDENT);
  const room = width - indent.length;
  const isBelow = isNarrow && textWidth(head) + 2 + textWidth(what) > width;
  const gap = ' '.repeat(isNarrow ? 2 : Math.max(2, INDENT - textWidth(head)));
  const [first = '', ...rest] = wrap(what, room);
  const seen = isBelow ? [head, indent + first] : [`${head}${gap}${first}`];
  const told = advice === undefined ? [] : wrap(advice, room);
  return [...seen, ...rest.map(line => indent + line), ...told.map(line => indent + style.dim(line))];
}

/** `1 problem, 2 warnings`, or that all is well. */
export function sumUp(findings: readonly Finding[], style: Style): string {
  const of = (level: Finding['level']) => findings.filter(finding => finding.level === level).length;
  const [problems, warnings] = [of('problem'), of('warning')];
  const words = [
    ...(problems > 0 ? [style.red(count(problems, 'problem'))] : []),
    ...(warnings > 0 ? [style.yellow(count(warnings, 'warning'))] : []),
  ];
  return words.length === 0 ? style.green('All is well') : words.join(', ');
}
