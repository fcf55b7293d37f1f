import { randomBytes } from 'node:crypto';
import * as vscode from 'vscode';

export interface PageOptions {
  readonly title: string;
  /** The file under `dist/` that the page runs. */
  readonly script: string;
  readonly style: string;
}

/** What the page says in the language of VS Code; as data, which nothing in it can end. */
function texts(): string {
  return JSON.stringify(vscode.l10n.bundle ?? {}).replaceAll('<', '\\u003c');
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}

/** A page of ours. It may run its one script and nothing else, load nothing and talk to nobody but the extension. */
export function pageHtml(
  webview: vscode.Webview,
  extension: vscode.Uri,
  { title, script, style }: PageOptions,
): string {
  const address = webview.asWebviewUri(vscode.Uri.joinPath(extension, 'dist', script));
  const nonce = randomBytes(16).toString('base64url');
  return `<!DOCTYPE html>
<html lang="${escaped(vscode.env.language)}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'nonce-${nonce}'; style-src 'nonce-${nonce}'">
<title>${escaped(title)}</title>
<style nonce="${nonce}">
${style}
</style>
</head>
<body>
<script type="application/json" id="texts">${texts()}</script>
<script nonce="${nonce}" src="${address}"></script>
</body>
</html>`;
}
