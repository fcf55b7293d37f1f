import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { getBytes } from '../../node-runtime/objects/collect.ts';
import { DirectoryObjectStore } from '../../node-runtime/objects/directory-object-store.ts';
import { systemChance } from '../../node-runtime/system/chance.ts';
import { neverAborted, systemClock } from '../../node-runtime/system/clock.ts';
import { CiError, isCiError } from '../../shared/errors.ts';

const call = { signal: neverAborted };
const execute = promisify(execFile);
const MIB = 1024 * 1024;

test('a put of a process that is killed leaves nothing to be seen, and what it left is swept later', async t => {
  const root = await directory(t);
  const child = startProcess(root, "await put('half', (async function* () { yield kib; told(); await forever; })());");
  await once(child.stdout!, 'data');
  child.kill('SIGKILL');
  await once(child, 'exit');
  const objects = openAt(root);
  assert.equal(await objects.head('half', call), undefined);
  assert.deepEqual(await Array.fromAsync(objects.list('', call)), []);
  const [draft] = await readdir(join(root, 'incoming'));
  const twoHoursAgo = Date.now() / 1000 - 7200;
  await utimes(join(root, 'incoming', draft!), twoHoursAgo, twoHoursAgo);
  await openAt(root).put('whole', Buffer.from('x'), call);
  assert.deepEqual(await readdir(join(root, 'incoming')), []);
});

test('a put under way is not swept by another process', async t => {
  const root = await directory(t);
  const source = (async function* () {
    yield Buffer.from('one ');
    await openAt(root).put('other', Buffer.from('x'), call);
    yield Buffer.from('two');
  })();
  await openAt(root).put('mine', source, call);
  assert.equal(String(await getBytes(openAt(root), 'mine', call)), 'one two');
});

test('every object that a process had acknowledged before it was killed is there, whole', async t => {
  const root = await directory(t);
  const child = startProcess(root, "for (let i = 0; ; i++) { await put('many/' + i, kib); told(i); }");
  let told = '';
  for await (const chunk of child.stdout!) {
    told += chunk;
    if (told.split('\n').length > 100) child.kill('SIGKILL');
  }
  const acknowledged = told.split('\n').slice(0, -1).map(Number);
  const objects = openAt(root);
  for (const i of acknowledged) assert.equal((await objects.head(`many/${i}`, call))?.size, 1024, `many/${i}`);
  for await (const { key, size } of objects.list('many/', call)) assert.equal(size, 1024, key);
});

test('several processes put and delete in the same folders at once, and lose nothing', async t => {
  const root = await directory(t);
  const children = ['a', 'b', 'c'].map(name =>
    startProcess(
      root,
      `for (let i = 0; i < 60; i++) {
        await put('folder/' + i % 3 + '/${name}', kib);
        if (!(await objects.head('folder/' + i % 3 + '/${name}', call))) throw new Error('lost');
        await objects.deleteMany(['folder/' + i % 3 + '/${name}'], call);
      }
      await put('kept/${name}', kib);
      process.exit(0);`,
    ),
  );
  const codes = await Promise.all(children.map(async child => (await once(child, 'exit'))[0]));
  assert.deepEqual(codes, [0, 0, 0]);
  const keys = await Array.fromAsync(openAt(root).list('', call), ({ key }) => key);
  assert.deepEqual(keys, ['kept/a', 'kept/b', 'kept/c']);
});

test('folders that are empty are removed', async t => {
  const root = await directory(t);
  const objects = openAt(root);
  await objects.put('a/b/c/d', Buffer.from('x'), call);
  await objects.put('a/e', Buffer.from('x'), call);
  await objects.deleteMany(['a/b/c/d'], call);
  assert.deepEqual(await readdir(join(root, 'objects', 'a+')), ['e']);
  await objects.deleteMany(['a/e'], call);
  assert.deepEqual(await readdir(join(root, 'objects')), []);
});

test('files that are no objects are not listed', async t => {
  const root = await directory(t);
  const objects = openAt(root);
  await objects.put('a', Buffer.from('x'), call);
  await writeFile(join(root, 'objects', 'left by%someone'), '');
  assert.deepEqual(await Array.fromAsync(objects.list('', call), ({ key }) => key), ['a']);
});

test('a full disk is reported as such, and what was there stays whole', async t => {
  const root = await smallDisk(t);
  if (root === undefined) return t.skip('a small disk can be mounted only by root');
  const objects = openAt(root);
  const bytes = randomBytes(MIB);
  await objects.put('first', bytes, call);
  for (const body of [randomBytes(8 * MIB), chunks(8)])
    await assert.rejects(
      objects.put('second', body, call),
      error =>
        isCiError(error, 'unavailable') &&
        error.message.startsWith('Cannot put object "second" as the disk is full that holds') &&
        error.message.endsWith(root),
    );
  assert.deepEqual(await getBytes(objects, 'first', call), bytes);
  assert.equal(await objects.head('second', call), undefined);
  await objects.put('third', randomBytes(MIB), call);
});

test('a directory that may not be written to is reported as such', async t => {
  const root = (await smallDisk(t)) ?? (await directory(t));
  const objects = openAt(root);
  await objects.put('a', Buffer.from('x'), call);
  if (await isMounted(root)) await execute('mount', ['-o', 'remount,ro', root]);
  else await chmod(join(root, 'incoming'), 0o500);
  await assert.rejects(
    objects.put('b', Buffer.from('x'), call),
    error => error instanceof CiError && /the disk is read-only|this user has no access/.test(error.message),
  );
});

test('a path that leads through a file is reported as such', async t => {
  const root = await directory(t);
  await writeFile(join(root, 'file'), '');
  await assert.rejects(
    openAt(join(root, 'file')).put('a', Buffer.from('x'), call),
    error => isCiError(error, 'unavailable') && /leads through a file/.test(error.message),
  );
});

function openAt(root: string): DirectoryObjectStore {
  const signer = { secret: randomBytes(32), baseUrl: () => 'http://127.0.0.1' };
  return new DirectoryObjectStore({ root, clock: systemClock, chance: systemChance, signer });
}

async function directory(t: TestContext): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'simple-ci-objects-'));
  t.after(async () => {
    if (await isMounted(root)) await execute('umount', ['--lazy', root]);
    await rm(root, { recursive: true, force: true });
  });
  return root;
}

/** A process that uses the same directory. `told()` prints a line, which is how it says how far it is. */
function startProcess(root: string, body: string): ChildProcess {
  const at = (path: string) => new URL(`../../node-runtime/${path}`, import.meta.url);
  const script = `
    import { DirectoryObjectStore } from '${at('objects/directory-object-store.ts')}';
    import { systemChance } from '${at('system/chance.ts')}';
    import { neverAborted, systemClock } from '${at('system/clock.ts')}';
    import { writeSync } from 'node:fs';
    const signer = { secret: Buffer.alloc(32), baseUrl: () => '' };
    const objects = new DirectoryObjectStore({ root: ${JSON.stringify(root)}, clock: systemClock, chance: systemChance, signer });
    const call = { signal: neverAborted };
    const kib = Buffer.alloc(1024, 1);
    const put = (key, body) => objects.put(key, body, call);
    const told = (what = '') => writeSync(1, what + '\\n');
    const forever = new Promise(() => setInterval(() => undefined, 1000));
    ${body}`;
  return spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
}

/** A disk of 4 MiB, which only root can have. */
async function smallDisk(t: TestContext): Promise<string | undefined> {
  const root = await directory(t);
  const mounted = await execute('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', root]).catch(() => undefined);
  return mounted && root;
}

async function isMounted(root: string): Promise<boolean> {
  return (await readFile('/proc/self/mounts', 'utf8').catch(() => '')).includes(` ${root} `);
}

async function* chunks(count: number): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < count; i++) yield randomBytes(MIB);
}
