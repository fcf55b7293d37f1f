export const styles = `
:root {
  --passed: var(--vscode-testing-iconPassed, #2a7d2a);
  --failed: var(--vscode-testing-iconFailed, var(--vscode-errorForeground, #c72e2e));
  --running: var(--vscode-charts-blue, #1a85ff);
  --lost: var(--vscode-problemsWarningIcon-foreground, #bf8803);
  --quiet: var(--vscode-descriptionForeground, #666);
  --line: var(--vscode-widget-border, var(--vscode-panel-border, #8884));
  --edge: var(--vscode-contrastBorder, transparent);
}
body {
  margin: 0 auto;
  padding: 20px 28px 40px;
  max-width: 1100px;
  box-sizing: border-box;
  color: var(--vscode-foreground);
  font-family: var(--vscode-font-family, system-ui, sans-serif);
  font-size: var(--vscode-font-size, 13px);
}
header { display: flex; flex-wrap: wrap; align-items: baseline; gap: 4px 12px; }
h1 { margin: 0; font-size: 1.6em; font-weight: 600; overflow-wrap: anywhere; }
h2 { margin: 28px 0 8px; font-size: 1.1em; font-weight: 600; }
.state { font-weight: 600; }
/* Colours of icons are too pale for text in some themes: they are in a dot beside the word. */
.state::before, .word::before { content: '●' / ''; margin-right: 5px; color: var(--tone, var(--quiet)); }
.passed { --tone: var(--passed); }
.failed { --tone: var(--failed); }
.running { --tone: var(--running); }
.lost { --tone: var(--lost); }
.message { flex-basis: 100%; margin: 4px 0 0; color: var(--quiet); overflow-wrap: anywhere; white-space: pre-wrap; }
.problem { margin: 12px 0 0; padding: 6px 10px; border: 1px solid var(--vscode-inputValidation-warningBorder, var(--lost)); }
.actions { display: flex; flex-wrap: wrap; gap: 8px; margin: 14px 0 0; }
[hidden] { display: none !important; }
button { font: inherit; cursor: pointer; }
.actions button {
  padding: 4px 12px;
  border: 1px solid var(--vscode-button-secondaryBorder, var(--edge));
  border-radius: 2px;
  color: var(--vscode-button-secondaryForeground, var(--vscode-foreground));
  background: var(--vscode-button-secondaryBackground, transparent);
}
.actions button:hover { background: var(--vscode-button-secondaryHoverBackground, transparent); }
.actions button.first { color: var(--vscode-button-foreground); background: var(--vscode-button-background); }
.actions button.first:hover { background: var(--vscode-button-hoverBackground, var(--vscode-button-background)); }
button:focus-visible { outline: 1px solid var(--vscode-focusBorder); outline-offset: 2px; }
button.link {
  padding: 0; border: 0; background: none; text-align: left;
  color: var(--vscode-textLink-foreground); overflow-wrap: anywhere;
}
button.link:hover { text-decoration: underline; color: var(--vscode-textLink-activeForeground); }
table { width: 100%; border-collapse: collapse; }
th { text-align: left; font-weight: normal; color: var(--quiet); }
th, td { padding: 4px 12px 4px 0; border-bottom: 1px solid var(--line); vertical-align: middle; }
thead th { font-size: 0.9em; }
/* What fits not beside the name of a part goes below it. */
.what { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 8px; }
.life td:first-child { width: 34%; }
@media (max-width: 640px) {
  .life td:first-child { width: 46%; }
  .life .took { width: 6em; }
}
.life tr.inner td:first-child { padding-left: 20px; }
thead th:last-child { text-align: right; padding-right: 0; }
.life .took { width: 9em; text-align: right; padding-right: 0; font-variant-numeric: tabular-nums; white-space: nowrap; }
.note { color: var(--quiet); overflow-wrap: anywhere; }
.axis { display: flex; justify-content: space-between; }
.track { position: relative; height: 14px; min-width: 160px; }
.bar {
  position: absolute; top: 0; bottom: 0; min-width: 3px; border-radius: 2px; box-sizing: border-box;
  border: 1px solid var(--edge); background: var(--tone, var(--quiet)); opacity: 0.85;
}
.bar.waiting { background: none; border: 1px dashed var(--quiet); }
.bar.done { opacity: 0.45; }
.bar.guessed { border-right: 2px dashed var(--vscode-foreground); opacity: 0.55; }
.inner .bar { top: 2px; bottom: 2px; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 6px 20px; margin: 0; }
dt { color: var(--quiet); }
dd { margin: 0; overflow-wrap: anywhere; user-select: text; }
.kept td:nth-child(2) { width: 8em; white-space: nowrap; }
.kept td:last-child { width: 12em; text-align: right; padding-right: 0; }
.kept td:last-child button { margin-left: 12px; }
.quiet { color: var(--quiet); }
`;
