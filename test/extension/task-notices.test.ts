import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ClusterState, UNKNOWN_CLUSTER, withTasks } from '../../extension/cluster-state.ts';
import type { ConnectionState } from '../../extension/connection.ts';
import { EventSource } from '../../extension/event-source.ts';
import { type NoticeSetting, taskNotice } from '../../extension/task-notice.ts';
import { TaskNotices, type TaskNoticesOptions } from '../../extension/task-notices.ts';
import type { ClusterView, TaskSummary } from '../../shared/api.ts';

const SECOND = 1000;

function ended(outcome: TaskSummary['outcome'], afterMs: number, id = 'a'): TaskSummary {
  const times = { submitted: 5000, finished: 5000 + afterMs };
  return { id, name: 'build', state: 'finished', outcome, message: 'Step 1 failed', submitter: 'me', ...times };
}

test('a failure is always worth a word, a success only after half a minute, and what the user cancelled never', () => {
  const texts = (task: TaskSummary) =>
    (['off', 'failed', 'all'] satisfies NoticeSetting[]).map(setting => taskNotice(task, setting)?.text);
  const failed = 'build: failed after 2.0 s. Step 1 failed';
  assert.deepEqual(texts(ended('failed', 2 * SECOND)), [undefined, failed, failed]);
  assert.deepEqual(texts(ended('passed', 30 * SECOND)), [undefined, undefined, undefined]);
  assert.deepEqual(texts(ended('passed', 31 * SECOND)), [undefined, undefined, 'build: passed after 31.0 s']);
  assert.deepEqual(texts(ended('cancelled', 90 * SECOND)), [undefined, undefined, undefined]);
});

/** @param kept what the workspace remembers: given again, it is the same window, loaded anew */
function noticesOf(shown: readonly string[] = [], kept = new Map<string, unknown>()) {
  let state: ClusterState = UNKNOWN_CLUSTER;
  let wants = 0;
  const told: string[] = [];
  const stateChanged = new EventSource<ClusterState>();
  const connectionChanged = new EventSource<ConnectionState>();
  let connection: ConnectionState = { kind: 'none' };
  const want = () => {
    wants++;
    return { [Symbol.dispose]: () => void wants-- };
  };
  const memory = {
    get: <T>(key: string, otherwise?: T) => (kept.get(key) as T) ?? otherwise,
    update: async (key: string, value: unknown) => void kept.set(key, value),
  } as TaskNoticesOptions['memory'];
  const notices = new TaskNotices({
    connection: {
      get state() {
        return state;
      },
      stateChanged,
      get connection() {
        return connection;
      },
      connectionChanged,
      want,
    },
    memory,
    setting: () => 'all',
    isShown: id => shown.includes(id),
    show: ({ task }) => told.push(task),
  });
  const push = (...tasks: TaskSummary[]) => {
    for (const task of tasks) state = withTasks(state, { kind: 'changed', task });
    stateChanged.emit(state);
  };
  const become = (next: ConnectionState) => {
    connection = next;
    connectionChanged.emit(connection);
  };
  const choose = (cluster: string) => {
    state = UNKNOWN_CLUSTER;
    become(connectingTo(cluster));
    stateChanged.emit(state);
  };
  /** Somebody looks, and the cluster tells of these tasks. */
  const connect = (cluster: string, ...tasks: TaskSummary[]) => {
    become({ kind: 'connected', choice: { id: cluster, label: cluster, urls: [] }, cluster: {} as ClusterView });
    state = withTasks(state, { kind: 'snapshot', tasks });
    stateChanged.emit(state);
  };
  const reload = () => {
    notices[Symbol.dispose]();
    return noticesOf(shown, kept);
  };
  choose('a');
  return { notices, push, choose, connect, reload, told, wants: () => wants };
}

function connectingTo(id: string): ConnectionState {
  return { kind: 'connecting', choice: { id, label: id, urls: [] }, failures: 0 };
}

function running(id: string): TaskSummary {
  return { id, name: 'build', state: 'running', submitter: 'me', submitted: 5000 };
}

test('only tasks that were run from this window are told of, each once', () => {
  const { notices, push, told } = noticesOf();
  notices.follow('mine');
  push(ended('failed', SECOND, 'mine'), ended('failed', SECOND, 'other'));
  push(ended('failed', SECOND, 'mine'));
  assert.deepEqual(told, ['mine']);
});

test('a task that ended before anybody listened is told of too', () => {
  const { notices, push, told } = noticesOf();
  push(ended('failed', SECOND, 'quick'));
  notices.follow('quick');
  assert.deepEqual(told, ['quick']);
});

test('what the user looks at already needs no notice', () => {
  const { notices, push, told } = noticesOf(['seen']);
  notices.follow('seen');
  push(ended('failed', SECOND, 'seen'));
  assert.deepEqual(told, []);
});

test('the cluster is listened to for as long as there is something to wait for', () => {
  const { notices, push, wants } = noticesOf();
  assert.equal(wants(), 0);
  notices.follow('a');
  notices.follow('b');
  assert.equal(wants(), 1);
  push(ended('failed', SECOND, 'a'));
  assert.equal(wants(), 1);
  push(ended('failed', SECOND, 'b'));
  assert.equal(wants(), 0);
});

test('tasks of a cluster that was left are not waited for, those of the one that is chosen now are', () => {
  const { notices, push, choose, told, wants } = noticesOf();
  notices.follow('left');
  choose('b');
  assert.equal(wants(), 0);
  notices.follow('here');
  choose('b');
  assert.equal(wants(), 1);
  push(ended('failed', SECOND, 'left'), ended('failed', SECOND, 'here'));
  assert.deepEqual([told, wants()], [['here'], 0]);
});

test('a task that was run before the window was loaded anew is told of when it ends, once', () => {
  const before = noticesOf();
  before.notices.follow('long');
  const after = before.reload();
  after.connect('a', running('long'));
  assert.deepEqual([after.told, after.wants()], [[], 1]);
  after.push(ended('failed', SECOND, 'long'));
  assert.deepEqual([after.told, after.wants()], [['long'], 0]);
  const again = after.reload();
  again.connect('a', ended('failed', SECOND, 'long'));
  assert.deepEqual([before.told, again.told], [[], []]);
});

test('one that ended while the window was away is told of, and what was told of before is not', () => {
  const before = noticesOf();
  before.notices.follow('quick');
  before.notices.follow('long');
  before.push(ended('failed', SECOND, 'quick'), running('long'));
  const after = before.reload();
  after.connect('a', ended('failed', SECOND, 'quick'), ended('failed', SECOND, 'long'));
  assert.deepEqual([before.told, after.told, after.wants()], [['quick'], ['long'], 0]);
});

test('for tasks of before nothing is connected by itself', () => {
  const before = noticesOf();
  before.notices.follow('long');
  const after = before.reload();
  assert.equal(after.wants(), 0);
  after.choose('a');
  assert.equal(after.wants(), 0);
});

test('a task of before that the cluster does not know any more is not waited for', () => {
  const before = noticesOf();
  before.notices.follow('gone');
  const after = before.reload();
  after.connect('a', running('other'));
  assert.equal(after.wants(), 0);
});

test('of a cluster that was left tasks are told of when one goes back to it', () => {
  const { notices, choose, connect, told, wants } = noticesOf();
  notices.follow('left');
  choose('b');
  connect('b', ended('failed', SECOND, 'left'));
  assert.deepEqual([told, wants()], [[], 0]);
  choose('a');
  connect('a', ended('failed', SECOND, 'left'));
  assert.deepEqual([told, wants()], [['left'], 0]);
});

test('of more tasks than anybody waits for the newest are remembered', () => {
  const before = noticesOf();
  const ids = Array.from({ length: 101 }, (_, at) => `t${at}`);
  for (const id of ids) before.notices.follow(id);
  const after = before.reload();
  after.connect('a', ...ids.map(id => ended('failed', SECOND, id)));
  assert.deepEqual(after.told.sort(), ids.slice(1).sort());
});
