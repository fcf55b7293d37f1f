import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { hasVscode, requireVscode } from '../support/code-server.ts';
import { eventually } from '../support/test-tasks.ts';
import { openViewerPage, type ViewerPage } from '../support/viewer-page.ts';

describe('the log viewer by keys and for screen readers', () => {
  let viewer: ViewerPage;

  before(async () => {
    if (hasVscode()) viewer = await openViewerPage();
  });
  after(() => viewer?.[Symbol.asyncDispose]());

  const check = (name: string, run: () => Promise<void>) =>
    test(name, async t => {
      if (!requireVscode(t)) return;
      await viewer.run('page.openSteps()');
      await viewer.page.getByRole('treeitem', { name: 'Step 2, Compile, failed' }).waitFor();
      await run();
    });
  const press = async (...keys: readonly string[]) => {
    for (const key of keys) await viewer.page.keyboard.press(key);
  };
  const focusLog = () => viewer.page.getByRole('tree', { name: 'Log of made up' }).focus();
  /** The row that a screen reader speaks of. */
  const active = () =>
    viewer.run<string | undefined>(`(() => {
      const root = page.viewer.shadowRoot;
      const id = root.activeElement?.getAttribute('aria-activedescendant');
      return id ? root.getElementById(id)?.textContent : undefined;
    })()`);
  const isActive = (text: RegExp) =>
    eventually(`the chosen line is ${text}`, async () => (text.test((await active()) ?? '') ? true : undefined));

  check('says what everything is, in words', async () => {
    assert.equal(
      await viewer.page.locator('log-viewer').ariaSnapshot(),
      [
        '- text: made up',
        '- status: failed',
        '- text: It ended with 3.',
        '- combobox "Go to step":',
        '  - option "Steps…" [selected]',
        '  - option "✓ Install"',
        '  - option "✗ Compile"',
        `- 'button "Timestamps: off"'`,
        '- button "Search"',
        '- tree "Log of made up":',
        '  - treeitem "Step 1, Install, passed 8 ms" [level=1]: Install 8 ms',
        '  - treeitem "Step 2, Compile, failed 62 ms" [expanded] [level=1]: Compile 62 ms',
        '  - treeitem "compiling" [level=2]',
        `  - 'treeitem "src/main.c:3:10: error" [level=2]':`,
        '    - link "src/main.c:3:10":',
        '      - /url: "#"',
        '    - text: ": error"',
        '  - treeitem "see https://example.com/help" [level=2]:',
        '    - text: see',
        '    - link "https://example.com/help":',
        '      - /url: "#"',
        '  - treeitem "✗ failed" [level=2]',
      ].join('\n'),
    );
  });

  check('has few stops for the Tab key: what can be chosen, the log, the links of the chosen line', async () => {
    await focusLog();
    await press('End', 'ArrowUp');
    await isActive(/^see/);
    await viewer.page.locator('#steps').focus();
    const stops: string[] = [];
    for (let stop = 0; stop < 5; stop++) {
      stops.push(
        await viewer.run<string>(
          `(e => e ? e.getAttribute('aria-label') ?? e.textContent : 'outside')(page.viewer.shadowRoot.activeElement)`,
        ),
      );
      await press('Tab');
    }
    assert.deepEqual(stops, ['Go to step', 'Timestamps: off', 'Search', 'Log of made up', 'https://example.com/help']);
  });

  check('goes from line to line, and to the first and the last', async () => {
    await focusLog();
    await press('Home');
    await isActive(/^Install/);
    await press('ArrowDown', 'ArrowDown');
    await isActive(/^compiling/);
    await press('ArrowUp');
    await isActive(/^Compile/);
    await press('End');
    await isActive(/failed/);
  });

  check('folds and unfolds a step, and goes from a line to the heading of its step', async () => {
    await focusLog();
    await press('Home', 'ArrowRight', 'ArrowDown');
    await isActive(/^fetched/);
    await press('ArrowLeft');
    await isActive(/^Install/);
    await press('ArrowLeft', 'ArrowDown');
    await isActive(/^Compile/);
    await press('Enter', 'ArrowDown');
    await isActive(/failed/);
  });

  check('follows the link of the chosen line', async () => {
    await viewer.run(`page.viewer.addEventListener('log-link', event => (window.followed = event.detail.path))`);
    await focusLog();
    await press('Home', 'ArrowDown', 'ArrowDown', 'ArrowDown', 'Enter');
    assert.equal(await viewer.run('window.followed'), 'src/main.c');
  });

  check('chooses the line that it is opened at, also in a step that is folded', async () => {
    await viewer.run(`page.openSteps({ kind: 'line', offset: 0 })`);
    await viewer.page.locator('.row.current', { hasText: 'fetched' }).waitFor();
    assert.equal(await viewer.run('page.viewer.chosen'), 0);
  });

  check('chooses the line whose menu is opened', async () => {
    await viewer.page.getByText('compiling').click({ button: 'right' });
    await viewer.page.locator('.row.current', { hasText: 'compiling' }).waitFor();
    assert.equal(await viewer.run('page.viewer.chosen'), 8);
  });

  check('comes back from the search to the log', async () => {
    await focusLog();
    await press('Control+f');
    await viewer.page.getByRole('textbox', { name: 'Search the whole log' }).waitFor();
    await eventually('one can type', async () =>
      (await viewer.run(`page.viewer.shadowRoot.activeElement?.id`)) === 'query' ? true : undefined,
    );
    await press('Escape');
    assert.equal(await viewer.run('page.viewer.shadowRoot.activeElement?.id'), 'view');
  });
});
