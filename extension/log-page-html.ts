import * as l10n from '@vscode/l10n';
import type * as vscode from 'vscode';
import { pageHtml } from './page-html.ts';

/** The page around the viewer of a log. */
export function logPageHtml(webview: vscode.Webview, extension: vscode.Uri, isInPanel: boolean): string {
  const background = isInPanel ? 'var(--vscode-panel-background)' : 'var(--vscode-editor-background)';
  const style = `html, body { height: 100%; margin: 0; padding: 0; overflow: hidden; }
log-viewer { --log-background: ${background}; }`;
  return pageHtml(webview, extension, { title: l10n.t('Log'), script: 'log-page.js', style });
}
