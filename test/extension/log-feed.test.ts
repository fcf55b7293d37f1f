import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { LogFeed } from '../../extension/log-feed.ts';
import { createClient } from '../../shared/client.ts';
import { newTaskId } from '../../shared/ids.ts';
import type { LogEvent } from '../../shared/log.ts';
import { LogWindow } from '../../shared/log-model/log-window.ts';
import type { Step } from '../../shared/task.ts';
import type { ToPanel } from '../../shared/log-model/panel-messages.ts';
import { extensionParts } from '../support/extension-parts.ts';
import { eventually } from '../support/test-tasks.ts';

/** A task with this script that has run, and a feed of its log to a page that the test plays. */
async function feedOf(t: TestContext, script: string | readonly Step[], whenRunning = false) {
  const { address } = await (await extensionParts(t)).node('n1');
  const client = () => createClient({ urls: [address.url], token: address.token });
  const id = newTaskId(5, Date.now(), Math.random);
  const steps = typeof script === 'string' ? [{ run: script }] : [...script];
  await using own = client();
  await own.call('submitTask', { body: { id, task: { name: 'log', steps } } }, t.signal);
  await eventually('it has run', async () => {
    const { state } = await own.call('getTask', { params: { id } }, t.signal);
    return state === (whenRunning ? 'running' : 'finished') ? true : undefined;
  });
  const messages: ToPanel[] = [];
  const feed = new LogFeed(client(), id, message => messages.push(message));
  t.after(() => feed[Symbol.asyncDispose]());
  const of = <T extends ToPanel['type']>(type: T) =>
    messages.filter((message): message is Extract<ToPanel, { type: T }> => message.type === type);
  /** Takes batches as a page does, until the end. */
  const drain = async () => {
    let taken = 0;
    await eventually('the log has come', () => {
      const batches = of('events').length;
      if (batches > taken) {
        taken++;
        feed.taken();
      }
      return of('ended').length > 0 && of('events').length === taken ? true : undefined;
    });
    return of('events').flatMap(({ events }) => events);
  };
  return { feed, messages, of, drain };
}

function textOf(events: readonly LogEvent[]): string {
  return events.map(event => (event.kind === 'bytes' ? Buffer.from(event.bytes).toString() : '')).join('');
}

test('a log begins with its end, and the rest is there for whoever scrolls', async t => {
  const { feed, drain, of } = await feedOf(t, 'seq 1 300000');
  feed.start({}, () => undefined);
  const events = await drain();
  assert.match(textOf(events), /\n300000\n$/);
  assert.ok(textOf(events).length < 600_000);
  const attempt = events.find(event => event.kind === 'attempt');
  assert.ok(attempt?.kind === 'attempt' && attempt.offset > 1_000_000);
  const window = new LogWindow(attempt.offset);
  window.follow(events.slice(1));
  let request = 0;
  for (let range = window.before(); range; range = window.before()) {
    await feed.read(++request, attempt.fence, range);
    const answer = of('range').find(message => message.request === request);
    assert.equal(answer?.problem, undefined);
    window.prepend(answer!.events, range);
  }
  const [first, second] = window.rows;
  assert.deepEqual([first?.kind, second?.kind === 'output' && second.text], ['step', '1']);
});

test('a page that draws nothing is sent one batch, and the rest when it goes on', async t => {
  const { feed, of, drain } = await feedOf(t, 'for i in $(seq 1 40); do echo "line $i"; sleep 0.05; done', true);
  feed.start({}, () => undefined);
  await eventually('the first batch', () => (of('events').length > 0 ? true : undefined));
  await eventually('the log has ended', () => (of('ended').length > 0 ? true : undefined));
  assert.equal(of('events').length, 1);
  assert.match(textOf(await drain()), /line 40\n$/);
});

test('the steps of a long log are known at once, and those that passed need not be read', async t => {
  const steps = [
    { name: 'long', run: 'seq 1 300000' },
    { name: 'short', run: 'echo broken; exit 1' },
  ];
  const { feed, of, drain } = await feedOf(t, steps);
  feed.start({}, () => undefined);
  const events = await drain();
  const attempt = events.find(event => event.kind === 'attempt');
  assert.ok(attempt?.kind === 'attempt');
  await feed.marks(1, attempt.fence);
  const window = new LogWindow(attempt.offset);
  window.follow(events.slice(1));
  window.learn(of('marks')[0]!.marks);
  assert.deepEqual(
    window.steps.map(({ text, end }) => [text, end?.text]),
    [
      ['long', 'passed'],
      ['short', 'failed: It exited with code 1'],
    ],
  );
  window.setFolded(0, true);
  assert.deepEqual(window.before(), undefined);
  assert.deepEqual(
    window.rows.map(row => row.text),
    ['long', 'short', 'broken', 'failed: It exited with code 1'],
  );
});

test('a search finds lines of the whole log by their offsets', async t => {
  const { feed, of, drain } = await feedOf(t, 'seq 1 200000');
  feed.start({}, () => undefined);
  const attempt = (await drain()).find(event => event.kind === 'attempt');
  assert.ok(attempt?.kind === 'attempt');
  await feed.search(1, attempt.fence, { text: '^(7|77777)$', isRegExp: true, isCaseSensitive: false });
  assert.deepEqual(
    of('hits').flatMap(({ offsets }) => offsets),
    [12, 455_550],
  );
  assert.deepEqual(of('searched'), [{ type: 'searched', request: 1 }]);
});

test('what is wrong with an expression is told', async t => {
  const { feed, of } = await feedOf(t, 'true');
  await feed.search(1, 1, { text: '(', isRegExp: true, isCaseSensitive: false });
  assert.match(of('searched')[0]?.problem ?? '', /nvalid regular expression/);
});

test('an expression that would take for ever ends its search and nothing else', async t => {
  const { feed, of, drain } = await feedOf(t, `seq 1 50; printf '%s!\\n' ${'a'.repeat(60)}`);
  feed.start({}, () => undefined);
  const attempt = (await drain()).find(event => event.kind === 'attempt');
  assert.ok(attempt?.kind === 'attempt');
  await feed.search(1, attempt.fence, { text: '(a+)+$', isRegExp: true, isCaseSensitive: false });
  const problem = 'Gave up, as this regular expression takes too long on a line of the log';
  assert.deepEqual(of('searched'), [{ type: 'searched', request: 1, problem }]);
  await feed.search(2, attempt.fence, { text: 'a+!', isRegExp: true, isCaseSensitive: false });
  assert.deepEqual(of('searched').at(-1), { type: 'searched', request: 2 });
  assert.equal(of('hits').flatMap(({ offsets }) => offsets).length, 1);
});
