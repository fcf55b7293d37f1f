import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { hasVscode, requireVscode } from '../support/code-server.ts';
import { eventually } from '../support/test-tasks.ts';
import { openViewerPage, type ViewerPage } from '../support/viewer-page.ts';

/** Lines of 100 bytes: 1 GB. */
const LINES = 10_000_000;

describe('the log viewer in a browser', () => {
  let viewer: ViewerPage;

  before(async () => {
    if (hasVscode()) viewer = await openViewerPage();
  });
  after(() => viewer?.[Symbol.asyncDispose]());

  const check = (name: string, run: () => Promise<void>) =>
    test(name, async t => {
      if (requireVscode(t)) await run();
    });
  /** The numbers of the lines that are drawn. */
  const drawn = async () => {
    const rows = await viewer.page.locator('.row').allTextContents();
    return rows.map(text => Number(/line (\d+)/.exec(text)?.[1] ?? Number.NaN));
  };
  const shows = (what: string, isIt: (lines: readonly number[]) => boolean) =>
    eventually(what, async () => (isIt(await drawn()) ? true : undefined));
  const isRow = (lines: readonly number[]) => lines.length > 5 && lines.every((line, i) => line === lines[0]! + i);

  check('opens a log of 1 GB at its end, without reading the rest of it', async () => {
    await viewer.run(`page.open(${LINES})`);
    await shows('the last line', lines => lines.at(-1) === LINES - 1 && isRow(lines));
    assert.ok((await viewer.run<number>('page.asked()')) < 2_000_000);
  });

  check('draws only what is seen', async () => {
    assert.ok((await viewer.page.locator('.row').count()) < 60);
  });

  check('goes to any place at once', async () => {
    const track = (await viewer.page.locator('.track').boundingBox())!;
    await viewer.page.mouse.click(track.x + 7, track.y + track.height / 2);
    await shows('lines of the middle', lines => Math.abs(lines[0]! - LINES / 2) < LINES / 50 && isRow(lines));
    assert.ok((await viewer.run<number>('page.asked()')) < 4_000_000);
  });

  check('scrolls on from there in both directions, without a gap or a repeat', async () => {
    await viewer.page.locator('#view').focus();
    const [begin] = await drawn();
    for (const [key, times] of [
      ['PageDown', 300],
      ['PageUp', 600],
    ] as const)
      for (let i = 0; i < times; i++) {
        await viewer.page.keyboard.press(key);
        if (i % 25 === 0) await shows('a row of lines', isRow);
      }
    await shows('earlier lines', lines => lines[0]! < begin! - 3000 && isRow(lines));
  });

  check('comes to its first and to its last line', async () => {
    await viewer.page.keyboard.press('Home');
    await shows('the first line', lines => lines[0] === 0 && isRow(lines));
    await viewer.page.keyboard.press('End');
    await shows('the last line', lines => lines.at(-1) === LINES - 1 && isRow(lines));
  });

  check('needs no more memory for 1 GB than for a few megabytes', async () => {
    await viewer.run('page.grow(300000, 20000)');
    await viewer.run('gc()');
    assert.ok((await viewer.run<number>('performance.memory.usedJSHeapSize')) < 60_000_000);
  });

  check('says what became of an attempt of which nothing was kept', async () => {
    await viewer.run('page.openLost()');
    const text = 'Nothing of what this attempt printed was kept: lost with its node.';
    await viewer.page.getByText(text).waitFor();
  });

  check('shows what a program printed as text, whatever it is, under the strictest policy', async () => {
    const hostile = [
      '<img src=x onerror="window.pwned=1">',
      '<script>window.pwned=1</script>',
      '\\u001b]8;;javascript:window.pwned=1\\u0007click\\u001b]8;;\\u0007',
      '\\u001b[38;2;1;2;3mtrue colour',
    ];
    await viewer.run(`page.push(${JSON.stringify(`${hostile.join('\n')}\n`).replaceAll('\\\\u', '\\u')})`);
    await viewer.page.getByText('<script>window.pwned=1</script>').waitFor();
    assert.equal(await viewer.page.locator('.row img, .row script, .row a').count(), 0);
    const colored = `[...page.viewer.shadowRoot.querySelectorAll('span')].find(span => span.textContent === 'true colour')`;
    const color = await viewer.run(`getComputedStyle(${colored}).color`);
    assert.equal(await viewer.run('window.pwned'), undefined);
    assert.equal(color, 'rgb(1, 2, 3)');
    assert.deepEqual(viewer.errors, []);
  });

  check('lets an expression loose on no line that the search has not found, as it might never come back', async () => {
    const lines = ['a'.repeat(60), 'b1 b2', 'b3'];
    await viewer.run(`page.push(${JSON.stringify(`${lines.join('!\n')}!\n`)}, [62])`);
    await viewer.page.getByRole('button', { name: 'Search' }).click();
    const query = viewer.page.getByRole('textbox', { name: 'Search the whole log' });
    await query.fill('(a+)+$|b[0-9]');
    await viewer.page.getByRole('button', { name: 'Regular expression' }).click();
    const marked = (texts: readonly string[]) =>
      eventually(`${texts.join()} are marked`, async () =>
        (await viewer.page.locator('mark').allTextContents()).join() === texts.join() ? true : undefined,
      );
    await marked(['b1', 'b2']);
    await viewer.page.getByRole('button', { name: 'Regular expression' }).click();
    await query.fill('b');
    await marked(['b', 'b', 'b']);
  });
});
