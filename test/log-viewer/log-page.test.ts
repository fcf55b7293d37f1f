import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { FromPanel, PanelState, PanelTask, ToPanel } from '../../shared/log-model/panel-messages.ts';
import { hasVscode, requireVscode } from '../support/code-server.ts';
import { eventually } from '../support/test-tasks.ts';
import { openViewerPage, type ViewerPage } from '../support/viewer-page.ts';

/** What VS Code gives to a page, written down. */
const VSCODE = `const posted = [];
let kept;
globalThis.told = () => ({ posted, kept });
globalThis.acquireVsCodeApi = () => ({
  postMessage: message => posted.push(message),
  getState: () => undefined,
  setState: state => { kept = state; },
});
`;
const LINES = 500;
const LINE_BYTES = 10;

let viewer: ViewerPage;
before(async () => {
  if (hasVscode()) viewer = await openViewerPage({ entry: 'extension/webview/log-page.ts', before: VSCODE });
});
after(() => viewer?.[Symbol.asyncDispose]());

const check = (name: string, run: () => Promise<void>) =>
  test(name, async t => {
    if (requireVscode(t)) await run();
  });

/** As the extension would. */
const send = (message: ToPanel) => viewer.run(`window.postMessage(${JSON.stringify(message)}, '*')`);

/** @param offset of the first byte that is shown */
async function open(task: string, attempt: number, offset = 0): Promise<void> {
  await send({ type: 'task', task: taskOf(task, attempt) });
  await send({ type: 'restart', attempt: undefined });
  // Bytes do not travel as JSON.
  const text = Array.from({ length: LINES }, (_, line) => `line ${line}`.padEnd(LINE_BYTES - 1).concat('\n')).join('');
  await viewer.run(`window.postMessage({ type: 'events', events: [
    { kind: 'attempt', fence: ${attempt}, attempt: ${attempt}, node: 'n1', offset: ${offset} },
    { kind: 'bytes', offset: ${offset}, time: 0, bytes: new TextEncoder().encode(${JSON.stringify(text)}) },
  ] }, '*')`);
}

function taskOf(id: string, attempt: number): PanelTask {
  const attempts = Array.from({ length: attempt }, (_, at) => at + 1);
  return { id, name: id, state: 'running', tone: 'running', message: '', isFinished: false, attempts, pastEnds: {} };
}

const rows = () => viewer.page.locator('.row');
const sees = (line: number) => rows().filter({ hasText: new RegExp(`^line ${line} *$`) });
const told = () => viewer.run<{ posted: FromPanel[]; kept: PanelState | undefined }>('told()');
const isAtEnd = () => sees(LINES - 1).waitFor();

check('a log that is opened anew, as the cluster was away, is where one was', async () => {
  await open('a', 1);
  await isAtEnd();
  await viewer.page.locator('#view').focus();
  for (const key of ['Home', 'PageDown', 'PageDown', 'PageDown', 'PageDown']) await viewer.page.keyboard.press(key);
  const first = await eventually('it is in the middle', async () => {
    const { kept } = await told();
    return kept?.offset !== undefined && kept.offset > 0 ? kept.offset / LINE_BYTES : undefined;
  });
  await open('a', 1);
  await eventually('it is there again', async () =>
    (await rows().first().textContent())?.trim() === `line ${first}` ? true : undefined,
  );
});

check(
  'another attempt, or another task, is opened at its end, and nothing of the one before is taken for its own',
  async () => {
    await rows().nth(5).click();
    await eventually('a line is chosen', async () => (await told()).kept?.line);
    await open('a', 2);
    await isAtEnd();
    await viewer.page.locator('#view').focus();
    await viewer.page.keyboard.press('Home');
    await sees(0).click();
    await eventually('a line is chosen', async () => (await told()).kept?.line);
    await open('b', 1);
    await isAtEnd();
    const { posted, kept } = await told();
    assert.deepEqual(kept, { task: 'b', timestamps: 'off' });
    const states = posted.flatMap(message => (message.type === 'state' ? [message.state] : []));
    const ofTheOther = states.filter(({ task, line, offset }) => task === 'b' && (line ?? offset) !== undefined);
    assert.deepEqual(ofTheOther, []);
  },
);

check('a part of the log that cannot be read is told, until one can be', async () => {
  const state = viewer.page.locator('.bar .message');
  await open('c', 1, 1000 * LINE_BYTES);
  await isAtEnd();
  const asked = async (after: number) => {
    const reads = (await told()).posted.flatMap(message => (message.type === 'read' ? [message.request] : []));
    return reads.findLast(request => request > after);
  };
  await viewer.page.locator('#view').focus();
  await viewer.page.keyboard.press('Home');
  const first = await eventually('the beginning is asked for', () => asked(0));
  await send({ type: 'range', request: first, events: [], problem: 'The node is away' });
  await state.filter({ hasText: 'The node is away' }).waitFor();
  await viewer.page.keyboard.press('Home');
  const second = await eventually('it is asked for again', () => asked(first));
  await viewer.run(`window.postMessage({ type: 'range', request: ${second}, events: [
    { kind: 'bytes', offset: 0, time: 0, bytes: new TextEncoder().encode('earlier..\\n'.repeat(1000)) },
  ] }, '*')`);
  await state.filter({ hasText: /^$/ }).waitFor({ state: 'attached' });
});
