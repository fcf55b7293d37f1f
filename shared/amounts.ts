import * as l10n from '@vscode/l10n';
import { formatDuration } from './duration.ts';
import { formatTenths, formatWhole } from './number-language.ts';

/** `just now`, `42 s ago`, `3 min ago`, `5 h ago`, then the date. */
export function formatAge(time: number, now: number): string {
  const seconds = Math.round((now - time) / 1000);
  if (seconds < 2) return l10n.t('just now');
  if (seconds < 60) return l10n.t`${seconds} s ago`;
  if (seconds < 3600) return l10n.t('{0} min ago', Math.round(seconds / 60));
  if (seconds < 86_400) return l10n.t('{0} h ago', Math.round(seconds / 3600));
  return new Date(time).toISOString().slice(0, 10);
}

/** `812 bytes`, `1.4 KB`, `52 MB`: thousands, as disks are sold. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return count(bytes, l10n.t('byte'), l10n.t('bytes'));
  const units = ['KB', 'MB', 'GB', 'TB'];
  let value = bytes / 1000;
  let unit = 0;
  for (; value >= 999.5 && unit < units.length - 1; unit++) value /= 1000;
  return `${value < 9.95 ? formatTenths(value) : Math.round(value)} ${units[unit]}`;
}

/** `1 file`, `3 files`, `12,345 files`. */
export function count(amount: number, one: string, many = `${one}s`): string {
  return `${formatWhole(amount)} ${amount === 1 ? one : many}`;
}

/** How long something took, or undefined when it is not known. */
export function durationBetween(start: number | undefined, end: number | undefined): string | undefined {
  return start === undefined || end === undefined ? undefined : formatDuration(Math.max(0, end - start));
}
