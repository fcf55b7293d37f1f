import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ClusterState, UNKNOWN_CLUSTER, withTasks } from '../../extension/cluster-state.ts';
import type { ConnectionState } from '../../extension/connection.ts';
import { EventSource } from '../../extension/event-source.ts';
import { type NoticeSetting, taskNotice } from '../../extension/task-notice.ts';
import { TaskNotices } from '../../extension/task-notices.ts';
import type { TaskSummary } from '../../shared/api.ts';

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

function noticesOf(shown: readonly string[] = []) {
  let state: ClusterState = UNKNOWN_CLUSTER;
  let wants = 0;
  const told: string[] = [];
  const stateChanged = new EventSource<ClusterState>();
  const connectionChanged = new EventSource<ConnectionState>();
  let connection: ConnectionState = connectingTo('a');
  const want = () => {
    wants++;
    return { [Symbol.dispose]: () => void wants-- };
  };
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
    setting: () => 'all',
    isShown: id => shown.includes(id),
    show: ({ task }) => told.push(task),
  });
  const push = (...tasks: TaskSummary[]) => {
    for (const task of tasks) state = withTasks(state, { kind: 'changed', task });
    stateChanged.emit(state);
  };
  const choose = (cluster: string) => {
    state = UNKNOWN_CLUSTER;
    connection = connectingTo(cluster);
    connectionChanged.emit(connection);
    stateChanged.emit(state);
  };
  return { notices, push, choose, told, wants: () => wants };
}

function connectingTo(id: string): ConnectionState {
  return { kind: 'connecting', choice: { id, label: id, urls: [] }, failures: 0 };
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
