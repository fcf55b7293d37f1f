import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { type Progress, type Question, submitWorkspace, type WantedTask } from '../../extension/submit-workspace.ts';
import { listWorkspaceTasks } from '../../extension/workspace-tasks.ts';
import { createClient } from '../../shared/client.ts';
import { LogText } from '../../shared/log-text.ts';
import { extensionParts } from '../support/extension-parts.ts';

async function bench(t: TestContext, files: Readonly<Record<string, string>>) {
  const parts = await extensionParts(t);
  const folder = await parts.workspace(files);
  const node = await parts.node('n1');
  const client = createClient({ urls: [node.address.url], token: node.address.token });
  t.after(() => client[Symbol.asyncDispose]());
  const asked: Question[] = [];
  const progress: Progress[] = [];
  const submit = (task: WantedTask, answer = true, signal: AbortSignal = t.signal) =>
    submitWorkspace(
      {
        program: parts.program,
        folder,
        task,
        urls: [node.address.url],
        token: node.address.token,
        isLocal: true,
        onProgress: step => progress.push(step),
        ask: async question => {
          asked.push(question);
          return answer;
        },
        withdraw: async () => assert.fail('nothing was submitted'),
      },
      signal,
    );
  const logOf = async (id: string) => {
    const text = new LogText({ timestamps: false, colors: false });
    let log = '';
    for await (const event of client.log(id, { follow: true }, t.signal)) log += text.push(event);
    return log + text.end();
  };
  return { ...parts, folder, submit, asked, progress, logOf, client };
}

const command = (text: string): WantedTask => ({ kind: 'command', command: text });

test('a task runs on the workspace as it is on disk, committed or not', async t => {
  const { folder, submit, logOf, progress, client } = await bench(t, { 'a.txt': 'committed\n' });
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@t', ...args], { cwd: folder });
  git('init', '--quiet', '--initial-branch=side');
  git('add', '.');
  git('commit', '--quiet', '-m', 'first');
  await writeFile(join(folder, 'a.txt'), 'edited\n');
  await writeFile(join(folder, 'new.txt'), 'untracked\n');
  const submitted = await submit(command('cat a.txt new.txt'));
  assert.deepEqual([submitted?.name, submitted?.files], ['cat a.txt new.txt', 2]);
  assert.match(await logOf(submitted!.id), /edited\nuntracked/);
  const { tasks } = await client.call('listTasks', { query: {} }, t.signal);
  assert.deepEqual(
    tasks.map(({ id, branch }) => [id, branch]),
    [[submitted!.id, 'side']],
  );
  assert.deepEqual([...new Set(progress.map(({ kind }) => kind))], ['looking', 'sending', 'submitting']);
});

test('a command with signs of a shell means what it means in a terminal', async t => {
  const { submit, logOf } = await bench(t, { 'a.txt': 'x' });
  const submitted = await submit(command('for i in 1 2; do echo "n$i"; done && echo \'$HOME\''));
  assert.match(await logOf(submitted!.id), /n1\nn2\n\$HOME/);
});

test('tasks of the workspace are listed, and run by their name', async t => {
  const { folder, program, submit, logOf } = await bench(t, {
    'simple-ci.yaml': 'tasks:\n  hello: echo hello there\n',
    'package.json': '{"scripts": {"build": "echo built"}}',
  });
  const tasks = await listWorkspaceTasks(program, folder, t.signal);
  assert.deepEqual(
    tasks.map(({ name, from }) => [name, from]),
    [
      ['hello', 'simple-ci.yaml'],
      ['build', 'package.json'],
    ],
  );
  assert.match(await logOf((await submit({ kind: 'named', name: 'hello' }))!.id), /hello there/);
});

test('a file that looks like a secret is asked about, and stays if the answer is no', async t => {
  const { submit, asked } = await bench(t, { '.env': 'PASSWORD=1\n' });
  assert.equal(await submit(command('true'), false), undefined);
  assert.deepEqual(asked, [
    { kind: 'secrets', files: [{ path: '.env', why: 'it is named like a file of environment variables' }] },
  ]);
  assert.ok((await submit(command('true'), true))?.id);
});

test('what is wrong is told in the words of simple-ci', async t => {
  const { submit } = await bench(t, { 'simple-ci.yaml': 'tasks:\n  test: npm test\n' });
  await assert.rejects(
    submit({ kind: 'named', name: 'tset' }),
    /^CiError: Cannot find task "tset".*did you mean "test"\?/s,
  );
});

test('a submission that is cancelled ends at once', async t => {
  const { submit } = await bench(t, { 'a.txt': 'x' });
  const cancelled = new AbortController();
  const submitting = submit(command('true'), true, cancelled.signal);
  cancelled.abort(new Error('Cancelled by the user'));
  await assert.rejects(submitting, /Cancelled by the user/);
});

test('a task that was submitted at the moment of cancelling is cancelled', async t => {
  const events = [
    { event: 'submitted', id: 'x', name: 'n' },
    { event: 'sent', bytes: 1 },
  ];
  const script = `console.log(${JSON.stringify(events.map(event => JSON.stringify(event)).join('\n'))}); setInterval(() => {}, 1000)`;
  const cancelled = new AbortController();
  const withdrawn: string[] = [];
  const submitting = submitWorkspace(
    {
      program: { command: process.execPath, args: ['-e', script, '--'], env: {} },
      folder: import.meta.dirname,
      task: command('true'),
      urls: [],
      token: '',
      isLocal: false,
      onProgress: ({ kind }) => kind === 'submitting' && cancelled.abort(new Error('Cancelled by the user')),
      ask: async () => true,
      withdraw: async id => void withdrawn.push(id),
    },
    AbortSignal.any([cancelled.signal, t.signal]),
  );
  await assert.rejects(submitting, /Cancelled by the user/);
  assert.deepEqual(withdrawn, ['x']);
});
