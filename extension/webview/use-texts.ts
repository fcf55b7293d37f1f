import * as l10n from '@vscode/l10n';

/** From now on the page says what the extension has put into it for that, in the language of VS Code. */
export function useTexts(): void {
  l10n.config({ contents: document.getElementById('texts')?.textContent ?? '{}' });
}
