import { CiError } from './errors.ts';
import { quote } from './ids.ts';
import { formatTenths } from './number-language.ts';

/** No duration is longer: a year. */
export const LONGEST_DURATION_MS = 365 * 86_400_000;

const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** What a duration looks like in a task file: `90s`, `10m`, `1h30m`, or a number of seconds. */
export const DURATION_PATTERN = /^(\d+(\.\d+)?(ms|s|m|h|d))+$/;

/** Milliseconds of a duration as people write it. */
export function parseDuration(value: string | number): number {
  const ms = typeof value === 'number' ? value * 1000 : unitsToMs(value);
  if (Number.isFinite(ms) && ms >= 0) return Math.round(ms);
  throw new CiError(
    'invalid',
    `Cannot use duration as it is not like "90s", "10m", "1h30m" or a number of seconds: ${quote(value)}`,
  );
}

/** NaN for a text that is no duration; Infinity for one that no number can hold. */
export function unitsToMs(text: string): number {
  if (!DURATION_PATTERN.test(text)) return Number.NaN;
  let ms = 0;
  for (const [, amount, , unit] of text.matchAll(/(\d+(\.\d+)?)(ms|s|m|h|d)/g))
    ms += Number(amount) * UNITS[unit as keyof typeof UNITS];
  return ms;
}

/** A duration as people read it: `820 ms`, `12.4 s`, `3 min 05 s`, `2 h 10 min`. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${formatTenths(ms / 1000)} s`;
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return `${minutes} min ${String(Math.floor((ms % 60_000) / 1000)).padStart(2, '0')} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}
