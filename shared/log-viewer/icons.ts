import { svg, type TemplateResult } from 'lit';

function icon(...paths: string[]): TemplateResult {
  return svg`<svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.2" stroke-linecap="round" stroke-linejoin="round">${paths.map(path => svg`<path d=${path}></path>`)}</svg>` as TemplateResult;
}

/** Drawn here, as a page may load no font of icons. Each stands beside a word or has a label. */
export const ICONS = {
  search: icon('M7 2.5a4.5 4.5 0 1 0 0 9a4.5 4.5 0 0 0 0-9', 'M10.5 10.5l3.5 3.5'),
  clock: icon('M8 2a6 6 0 1 0 0 12a6 6 0 0 0 0-12', 'M8 4.5v3.8l2.5 1.5'),
  up: icon('M3.5 10l4.5-4.5l4.5 4.5'),
  down: icon('M3.5 6l4.5 4.5l4.5-4.5'),
  right: icon('M6 3.5l4.5 4.5l-4.5 4.5'),
  close: icon('M4 4l8 8', 'M12 4l-8 8'),
  toEnd: icon('M8 2.5v8', 'M4.5 7.5l3.5 3.5l3.5-3.5', 'M3.5 13.5h9'),
  passed: icon('M3 8.5l3.5 3.5l6.5-7.5'),
  failed: icon('M4 4l8 8', 'M12 4l-8 8'),
  cancelled: icon('M8 2.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 0 0 0-11', 'M4.2 4.2l7.6 7.6'),
  running: icon('M8 3a5 5 0 1 1-5 5'),
} as const;
