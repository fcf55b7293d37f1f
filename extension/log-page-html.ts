import { randomBytes } from 'node:crypto';
import * as vscode from 'vscode';

/** The page around the viewer. It may run our one script and nothing else, load nothing and talk to nobody but the extension. */
export function logPageHtml(webview: vscode.Webview, extension: vscode.Uri, isInPanel: boolean): string {
  const script = webview.asWebviewUri(vscode.Uri.joinPath(extension, 'dist', 'log-page.js'));
  const nonce = randomBytes(16).toString('base64url');
  const background = isInPanel ? 'var(--vscode-panel-background)' : 'var(--vscode-editor-background)';
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'nonce-${nonce}'; style-src 'nonce-${nonce}'">
<title>Log</title>
<style nonce="${nonce}">
html, body { height: 100%; margin: 0; padding: 0; overflow: hidden; }
log-viewer { --log-background: ${background}; }
</style>
</head>
<body>
<script nonce="${nonce}" src="${script}"></script>
</body>
</html>`;
}
