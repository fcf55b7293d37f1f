import * as l10n from '@vscode/l10n';

/** The language that numbers are written in: that of the texts around them. */
export function numberLanguage(): string {
  return l10n.t({ message: 'en-US', comment: 'The language tag that numbers are written by, such as de-DE' });
}

/** `1.4`: with one digit after the point, always. */
export function formatTenths(value: number): string {
  return value.toLocaleString(numberLanguage(), { minimumFractionDigits: 1, maximumFractionDigits: 1 });
}
