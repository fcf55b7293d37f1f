import { css, type CSSResult, unsafeCSS } from 'lit';

const COLOR_NAMES = ['Black', 'Red', 'Green', 'Yellow', 'Blue', 'Magenta', 'Cyan', 'White'];
const FALLBACKS = [
  ...['#000000', '#cd3131', '#107c10', '#949800', '#0451a5', '#bc05bc', '#0598bc', '#555555'],
  ...['#666666', '#cd3131', '#14ce14', '#b5ba00', '#0451a5', '#bc05bc', '#0598bc', '#a5a5a5'],
];

/** `f1` and `b1` for the colour 1 of a terminal, as text and as background. */
const colors: CSSResult = unsafeCSS(
  FALLBACKS.map((fallback, index) => {
    const name = `${index < 8 ? '' : 'Bright'}${COLOR_NAMES[index % 8]}`;
    const color = `var(--vscode-terminal-ansi${name}, ${fallback})`;
    return `.f${index} { color: ${color}; } .b${index} { background: ${color}; }`;
  }).join('\n'),
);

export const styles: CSSResult = css`
  :host {
    --text: var(--vscode-terminal-foreground, var(--vscode-foreground, #222));
    --quiet: var(--vscode-descriptionForeground, #666);
    --paper: var(--log-background, var(--vscode-panel-background, #fff));
    --line: var(--vscode-panel-border, var(--vscode-contrastBorder, #8884));
    --accent: var(--vscode-focusBorder, #06c);
    --passed: var(--vscode-testing-iconPassed, #2a7d2a);
    --failed: var(--vscode-testing-iconFailed, var(--vscode-errorForeground, #c72e2e));
    display: grid;
    grid-template: auto auto minmax(0, 1fr) / minmax(0, 1fr);
    height: 100%;
    min-height: 0;
    color: var(--text);
    background: var(--paper);
    font-family: var(--vscode-font-family, system-ui, sans-serif);
    font-size: var(--vscode-font-size, 13px);
  }
  * {
    box-sizing: border-box;
  }
  button,
  select,
  input {
    font: inherit;
    color: inherit;
  }
  .bar {
    display: flex;
    align-items: center;
    gap: 6px;
    min-height: 30px;
    padding: 2px 10px;
    border-bottom: 1px solid var(--line);
    white-space: nowrap;
    overflow: hidden;
  }
  .name {
    font-weight: 600;
    overflow: hidden;
    text-overflow: ellipsis;
    flex: 0 0.1 auto;
  }
  .state {
    display: inline-flex;
    align-items: center;
    gap: 4px;
    flex: none;
  }
  .state.passed {
    color: var(--passed);
  }
  .state.failed {
    color: var(--failed);
  }
  .state.cancelled {
    color: var(--quiet);
  }
  .message {
    color: var(--quiet);
    overflow: hidden;
    text-overflow: ellipsis;
    flex: 1 1 0;
    min-width: 0;
  }
  .icon {
    display: inline-flex;
    align-items: center;
    justify-content: center;
    gap: 4px;
    min-width: 24px;
    height: 24px;
    padding: 0 4px;
    border: 1px solid transparent;
    border-radius: 4px;
    background: none;
    cursor: pointer;
    flex: none;
  }
  .icon:hover {
    background: var(--vscode-toolbar-hoverBackground, #8883);
  }
  .icon[aria-pressed='true'] {
    background: var(--vscode-inputOption-activeBackground, #8884);
    border-color: var(--vscode-inputOption-activeBorder, transparent);
    color: var(--vscode-inputOption-activeForeground, inherit);
  }
  .icon:disabled {
    opacity: 0.4;
    cursor: default;
  }
  button:focus-visible,
  select:focus-visible,
  input:focus-visible,
  .view:focus-visible {
    outline: 1px solid var(--accent);
    outline-offset: -1px;
  }
  select,
  input {
    height: 24px;
    border: 1px solid var(--vscode-input-border, var(--vscode-contrastBorder, #8886));
    border-radius: 4px;
    background: var(--vscode-input-background, transparent);
    color: var(--vscode-input-foreground, inherit);
    padding: 0 6px;
  }
  select {
    flex: 0 1 auto;
    min-width: 4em;
    max-width: 14em;
    background: var(--vscode-dropdown-background, transparent);
    color: var(--vscode-dropdown-foreground, inherit);
    border-color: var(--vscode-dropdown-border, var(--vscode-contrastBorder, #8886));
  }
  #attempt {
    flex: none;
  }
  /* What it says is short, and what it opens is as wide as it has to be. */
  #steps {
    width: 7.5em;
  }
  input {
    flex: 0 1 22em;
    min-width: 6em;
  }
  .count {
    color: var(--quiet);
    min-width: 5em;
  }
  .count.problem {
    color: var(--vscode-errorForeground, var(--failed));
  }
  .body {
    position: relative;
    display: grid;
    grid-template-columns: 1fr 14px;
    min-height: 0;
  }
  .view {
    position: relative;
    overflow-x: auto;
    overflow-y: hidden;
    min-width: 0;
    font-family: var(--vscode-editor-font-family, ui-monospace, monospace);
    font-size: var(--vscode-editor-font-size, 13px);
    line-height: var(--row-height, 18px);
    scrollbar-width: thin;
  }
  .rows {
    position: absolute;
    inset: 0 auto auto 0;
    min-width: 100%;
    width: max-content;
    tab-size: 8;
  }
  .row {
    height: var(--row-height, 18px);
    padding: 0 12px;
    white-space: pre;
  }
  .row:hover {
    background: var(--vscode-list-hoverBackground, #8881);
  }
  .row.current {
    background: var(--vscode-list-inactiveSelectionBackground, #8882);
    outline: 1px solid var(--vscode-contrastActiveBorder, transparent);
    outline-offset: -1px;
  }
  .view:focus-visible .row.current {
    outline-color: var(--vscode-list-focusOutline, var(--accent));
  }
  .time {
    display: inline-block;
    min-width: 8ch;
    padding-right: 2ch;
    color: var(--quiet);
    user-select: none;
  }
  .step {
    display: flex;
    align-items: center;
    gap: 6px;
    font-weight: 600;
    cursor: pointer;
  }
  .step span {
    display: inline-flex;
    align-items: center;
  }
  .step svg {
    flex: none;
    width: 14px;
    height: 14px;
  }
  .step .took,
  .note {
    color: var(--quiet);
    font-weight: 400;
  }
  .step > svg {
    margin-left: -4px;
    color: var(--quiet);
  }
  .step span.passed {
    color: var(--passed);
  }
  .step span.cancelled {
    color: var(--quiet);
  }
  .step span.failed,
  .failure {
    color: var(--failed);
  }
  .step span.running svg {
    animation: turn 1.2s linear infinite;
  }
  @keyframes turn {
    to {
      transform: rotate(360deg);
    }
  }
  @media (prefers-reduced-motion: reduce) {
    .step span.running svg {
      animation: none;
    }
  }
  .bold {
    font-weight: 700;
  }
  .dim {
    opacity: 0.7;
  }
  .italic {
    font-style: italic;
  }
  .underline {
    text-decoration: underline;
  }
  .strike {
    text-decoration: line-through;
  }
  .underline.strike {
    text-decoration: underline line-through;
  }
  .inverse {
    color: var(--paper);
    background: var(--text);
  }
  a {
    color: inherit;
    text-decoration: underline;
    text-decoration-color: var(--quiet);
    text-underline-offset: 2px;
    cursor: pointer;
  }
  a:hover {
    color: var(--vscode-textLink-activeForeground, inherit);
    text-decoration-color: currentColor;
  }
  a:focus-visible {
    outline: 1px solid var(--accent);
  }
  mark {
    color: inherit;
    background: var(--vscode-editor-findMatchBackground, #ea08);
    outline: 1px solid var(--vscode-editor-findMatchBorder, transparent);
  }
  .track {
    position: relative;
    border-left: 1px solid var(--line);
    touch-action: none;
  }
  .thumb {
    position: absolute;
    left: 1px;
    right: 1px;
    top: 0;
    background: var(--vscode-scrollbarSlider-background, #8886);
    border: 1px solid var(--vscode-contrastBorder, transparent);
  }
  .track:hover .thumb {
    background: var(--vscode-scrollbarSlider-hoverBackground, #888a);
  }
  .thumb.dragged {
    background: var(--vscode-scrollbarSlider-activeBackground, #888c);
  }
  .hit {
    position: absolute;
    left: 3px;
    right: 3px;
    height: 2px;
    background: var(--vscode-editorOverviewRuler-findMatchForeground, #d18616);
    pointer-events: none;
  }
  .pill {
    position: absolute;
    right: 30px;
    bottom: 14px;
    display: inline-flex;
    align-items: center;
    gap: 4px;
    padding: 3px 12px 3px 8px;
    border: 1px solid var(--vscode-button-border, var(--vscode-contrastBorder, transparent));
    border-radius: 14px;
    color: var(--vscode-button-foreground, #fff);
    background: var(--vscode-button-background, #06c);
    cursor: pointer;
    box-shadow: 0 1px 4px var(--vscode-widget-shadow, #0004);
  }
  .pill:hover {
    background: var(--vscode-button-hoverBackground, #05b);
  }
  .empty {
    padding: 16px;
    color: var(--quiet);
    white-space: pre-wrap;
    font-family: var(--vscode-font-family, system-ui, sans-serif);
  }
  ${colors}
`;
