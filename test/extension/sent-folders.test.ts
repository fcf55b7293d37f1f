import assert from 'node:assert/strict';
import { mkdir, mkdtemp, realpath, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { foldersOfLog, namedRoot } from '../../extension/sent-folders.ts';
import { SentTasks } from '../../extension/sent-tasks.ts';

async function repository(t: TestContext) {
  const place = await realpath(await mkdtemp(join(tmpdir(), 'simple-ci-test-')));
  t.after(() => rm(place, { recursive: true, force: true }));
  const root = join(place, 'repository');
  await mkdir(join(root, 'app'), { recursive: true });
  return { place, root };
}

test('the root of a workspace is the folder that was sent, or one above it', async t => {
  const { root } = await repository(t);
  assert.equal(await namedRoot({ folder: root, root }), root);
  assert.equal(await namedRoot({ folder: join(root, 'app'), root }), root);
});

test('by way of a symbolic link it is named by the link, as the files that are open are', async t => {
  const { place, root } = await repository(t);
  await symlink(root, join(place, 'link'));
  assert.equal(await namedRoot({ folder: join(place, 'link'), root }), join(place, 'link'));
  assert.equal(await namedRoot({ folder: join(place, 'link', 'app'), root }), join(place, 'link'));
  await symlink(join(root, 'app'), join(place, 'app'));
  assert.equal(await namedRoot({ folder: join(place, 'app'), root }), root);
});

test('paths in the log of a command are counted from its folder first, in that of a task from the root', () => {
  const sent = { folder: '/w/app', root: '/w' };
  assert.deepEqual(foldersOfLog({ ...sent, task: { kind: 'command', command: 'make' } }), ['/w/app', '/w']);
  assert.deepEqual(foldersOfLog({ ...sent, task: { kind: 'named', name: 'test' } }), ['/w', '/w/app']);
});

test('it is known where the last hundred tasks were sent from, and those that ran the same files again', async () => {
  const kept = new Map<string, unknown>();
  const sent = new SentTasks({
    get: <T>(key: string, otherwise?: T) => (kept.get(key) as T) ?? otherwise,
    update: async (key: string, value: unknown) => void kept.set(key, value),
  } as ConstructorParameters<typeof SentTasks>[0]);
  for (let at = 0; at < 100; at++) await sent.remember(`t${at}`, { root: `/w${at}`, folders: [`/w${at}`] });
  await sent.repeated('t99', 'again');
  await sent.repeated('of somebody else', 'another');
  assert.deepEqual(sent.of('again'), { root: '/w99', folders: ['/w99'] });
  assert.deepEqual([sent.of('t0'), sent.of('t1')?.root, sent.of('another')], [undefined, '/w1', undefined]);
});
