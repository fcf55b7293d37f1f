import { installBrowser } from '../../scripts/install-vscode.mjs';
import { openViewerPage } from '../support/viewer-page.ts';
import { type Figure, figure, median } from './figures.ts';
import { hostMemory } from './host-memory.ts';

const LINES = 10_000_000;
const LINE_BYTES = 100;
const ROUNDS = 5;
const GROWN_LINES = 500_000;

/** The log viewer with a log of 1 GB that needs no network: what drawing itself costs, in a headless browser without a graphics card. */
export async function bench(log: (text: string) => void): Promise<Figure[]> {
  const { missing } = await installBrowser({ log });
  if (missing.length > 0) throw new Error(`Cannot measure as there is no ${missing.join(', ')} here`);
  await using viewer = await openViewerPage();
  const paints: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    log(`opening, round ${round + 1} of ${ROUNDS}`);
    paints.push(
      await viewer.run<number>(
        `(async () => { const t = performance.now(); page.open(${LINES}); await page.viewer.updateComplete; await new Promise(r => requestAnimationFrame(() => setTimeout(r))); return performance.now() - t; })()`,
      ),
    );
  }
  log('scrolling');
  const frames = await viewer.run<number[]>('page.scroll(300, -240)');
  log('growing');
  const took = await viewer.run<number>(`page.grow(${GROWN_LINES}, 5000)`);
  await viewer.run('gc()');
  const heap = await viewer.run<number>('performance.memory.usedJSHeapSize');
  log('going through the extension host');
  const host = await hostMemory(LINES * LINE_BYTES);
  return [
    figure('first paint of a log of 1 GB', median(paints), 'ms', { aim: { of: 'value', atMost: 200 } }),
    figure('a frame while scrolling', median(frames), 'ms', { aim: { of: 'value', atMost: 17 } }),
    figure('the slowest of 20 frames', frames.toSorted((a, b) => a - b)[Math.floor(frames.length * 0.95)]!, 'ms'),
    figure('lines taken in', (GROWN_LINES / took) * 1000, 'lines/s', { aim: { of: 'value', atLeast: 50_000 } }),
    figure('memory of the page after it', heap / 1e6, 'MB', { aim: { of: 'value', atMost: 60 } }),
    figure('memory of the extension host meanwhile', host / 1e6, 'MB', { aim: { of: 'value', atMost: 8 } }),
  ];
}
