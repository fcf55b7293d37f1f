import assert from 'node:assert/strict';
import fc from 'fast-check';
import { isCiError } from '../../shared/errors.ts';
import {
  newTaskId,
  parseClusterId,
  parseNodeId,
  parseTaskId,
  RESERVED_SEGMENTS,
  type ClusterId,
  type NodeId,
  type TaskId,
  taskIdTime,
} from '../../shared/ids.ts';
import { keyspace, objectKeys, parseTasksKey } from '../../shared/keyspace.ts';
import { checkObjectKey } from '../../node-runtime/objects/object-key.ts';
import { type FuzzTarget, pure } from './fuzz-target.ts';

const EPOCH = '0epoch';

/** Texts that could be ids, that nearly are, and that are nothing like one. */
const texts = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.stringMatching(/^[0-9a-z./_-]{1,40}$/),
  fc.stringMatching(/^[0-9][0-9a-z]{24,32}(\.lock)?$/),
  fc
    .array(fc.constantFrom('acme', 'ci', '..', '.', '', '/', 'a', '%2f', '\u0000', ...RESERVED_SEGMENTS), {
      maxLength: 6,
    })
    .map(parts => parts.join('/')),
);
const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const moments = fc.record({
  priority: fc.integer({ min: 0, max: 9 }),
  time: fc.integer({ min: 0, max: 2 ** 50 - 1 }),
  chance,
});
const idOf = ({ priority, time, chance: drawn }: { priority: number; time: number; chance: number }) =>
  newTaskId(priority, time, () => drawn);
const taskIds = moments.map(idOf);
const clusterIds = fc
  .array(fc.stringMatching(/^[a-z0-9][a-z0-9_-]{0,5}$/), { minLength: 1, maxLength: 4 })
  .map(parts => parts.join('/'))
  .filter(text => understood(parseClusterId, text) !== undefined)
  .map(text => text as ClusterId);

export const keyTargets: readonly FuzzTarget[] = [
  ...pure(
    'keys: a text is refused as such, or is read as it was written',
    500,
    fc.property(texts, text => {
      for (const parse of [parseTaskId, parseClusterId, parseNodeId]) {
        const id = understood(parse as (text: string) => string, text);
        assert.ok(id === undefined || id === text);
      }
    }),
  ),
  ...pure(
    'keys: the order of keys is that of priority and time',
    500,
    fc.property(moments, moments, (a, b) => {
      const order = Math.sign(a.priority - b.priority || a.time - b.time);
      const [left, right] = [idOf(a), idOf(b)];
      if (order !== 0) assert.equal(left < right ? -1 : 1, order, `${left} ${right}`);
      assert.equal(taskIdTime(left), a.time);
    }),
  ),
  ...pure(
    'keys: a lock sorts between its task and the next one',
    500,
    fc.property(clusterIds, taskIds, taskIds, (cluster, one, other) => {
      const keys = keyspace(cluster);
      assert.deepEqual(parseTasksKey(keys, keys.task(one)), { kind: 'task', id: one });
      assert.deepEqual(parseTasksKey(keys, keys.lock(one)), { kind: 'lock', id: one });
      if (one === other) return;
      const [first, second] = [keys.task(one), keys.task(other)].sort();
      assert.ok(first! < `${first}.lock` && `${first}.lock` < second!);
    }),
  ),
  ...pure(
    'keys: whatever lies under tasks/ is a task, a lock, or left alone',
    500,
    fc.property(clusterIds, texts, (cluster, text) => {
      const keys = keyspace(cluster);
      const read = parseTasksKey(keys, keys.tasks + text);
      if (read) assert.equal(read.kind === 'task' ? keys.task(read.id) : keys.lock(read.id), keys.tasks + text);
      assert.equal(parseTasksKey(keys, text.startsWith(keys.tasks) ? '' : text), undefined);
    }),
  ),
  ...pure(
    'keys: no key of a cluster lies in a folder of another',
    500,
    fc.property(
      clusterIds,
      clusterIds,
      taskIds,
      fc.nat(),
      fc.stringMatching(/^[A-Za-z0-9[][A-Za-z0-9._:-]{0,9}$/),
      (a, b, task, fence, name) => {
        if (a === b) return;
        const node = parseNodeId(name);
        const [own, foreign] = [keyspace(a), keyspace(b)];
        for (const key of keysOf(foreign, task, node)) {
          for (const folder of foldersOf(own)) assert.ok(!key.startsWith(folder), `${key} in ${folder}`);
          assert.notEqual(key, own.cluster);
        }
        const objects = objectKeys(a, EPOCH);
        for (const key of objectsOf(b, task, fence))
          assert.ok(!key.startsWith(objects.root) || b.startsWith(`${a}/${EPOCH}`), `${key} in ${objects.root}`);
      },
    ),
  ),
  ...pure(
    'keys: every object has a key that the object store takes, below its cluster',
    300,
    fc.property(clusterIds, taskIds, fc.nat(), (cluster, task, fence) => {
      for (const key of objectsOf(cluster, task, fence)) {
        checkObjectKey(key);
        assert.ok(key.startsWith(`${cluster}/${EPOCH}/`));
      }
    }),
  ),
];

/** Undefined for a text that is refused; any other failure is one of ours. */
function understood(parse: (text: string) => string, text: string): string | undefined {
  try {
    return parse(text);
  } catch (error) {
    assert.ok(isCiError(error, 'invalid'), String(error));
    assert.match(error.message, /^Cannot use [^\n]+$/);
    return undefined;
  }
}

function foldersOf(keys: ReturnType<typeof keyspace>): string[] {
  const { members, tasks, completedTasks, tokens, secrets, root } = keys;
  return [members, tasks, completedTasks, tokens, secrets, `${root}attempts/`];
}

function keysOf(keys: ReturnType<typeof keyspace>, task: TaskId, node: NodeId): string[] {
  const { cluster, member, attempts, completed, token, secret } = keys;
  return [
    ...[cluster, member(node), keys.task(task), keys.lock(task), attempts(task), completed(task)],
    ...[token('abcdefgh'), secret('NAME'), secret('cluster-key')],
  ];
}

function objectsOf(cluster: ClusterId, task: TaskId, fence: number): string[] {
  const keys = objectKeys(cluster, EPOCH);
  return [
    ...[`${keys.log(task, fence)}0`, keys.logManifest(task, fence), keys.artifact(task, fence, 'ab')],
    ...[keys.artifactManifest(task, fence), keys.snapshot('ab'), keys.pack('ab'), keys.finished(task)],
  ];
}
