import * as l10n from '@vscode/l10n';

/** The language that numbers are written in: that of the texts around them. */
function numberLanguage(): string {
  return l10n.t({ message: 'en-US', comment: 'The language tag that numbers are written by, such as de-DE' });
}

/** `12,345`. By hand where that is easy: to load what Intl knows of languages takes the command line 10 ms. */
export function formatWhole(value: number): string {
  const language = numberLanguage();
  if (language !== 'en-US') return value.toLocaleString(language);
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** `1.4`: with one digit after the point, always. Of numbers below a thousand. */
export function formatTenths(value: number): string {
  const language = numberLanguage();
  if (language === 'en-US') return value.toFixed(1);
  return value.toLocaleString(language, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
}
