import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test, type TestContext } from 'node:test';
import { completeTask } from '../../node-runtime/queue/complete.ts';
import { readTaskState } from '../../node-runtime/queue/records.ts';
import { releaseTask } from '../../node-runtime/queue/release.ts';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import type { TaskId } from '../../shared/ids.ts';
import { Outcome, type TaskResult } from '../../shared/result.ts';
import { cli, type CliSetting, TestCli } from '../support/run-cli.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { type TestApi, testApi } from '../support/test-api.ts';
import { claim, claimant, eventually, passed, submit } from '../support/test-tasks.ts';

interface Bench {
  readonly api: TestApi;
  readonly folder: string;
  readonly setting: CliSetting;
  /** Runs a command as an admin of the cluster. */
  run(...argv: string[]): ReturnType<typeof cli>;
}

async function bench(t: TestContext, more: CliSetting = {}): Promise<Bench> {
  const stack = new AsyncDisposableStack();
  t.after(() => stack.disposeAsync());
  const api = stack.use(await testApi());
  const { path: folder } = stack.use(await temporaryFolder());
  const env = { PATH: process.env.PATH ?? '', SIMPLE_CI_URL: api.url, SIMPLE_CI_TOKEN: api.adminToken };
  const setting = { env, folder, home: folder, ...more };
  return { api, folder, setting, run: (...argv) => cli(argv, setting) };
}

/** Runs the task to this end, as a node would. */
async function finish({ cluster, logs }: TestApi, id: TaskId, changes: Partial<TaskResult> = {}): Promise<void> {
  const held = await claim(cluster, id, await claimant(cluster));
  logs.attempt(held.fence);
  logs.print('one line\n');
  logs.end('finished');
  await completeTask(cluster, held, { ...passed(held), ...changes }, neverAborted);
}

async function submitted(api: TestApi): Promise<TaskId> {
  const client = await api.client('viewer');
  return eventually('a task is queued', async () => {
    const { tasks } = await client.call('listTasks', { query: { state: 'queued' } }, neverAborted);
    return tasks[0]?.id as TaskId | undefined;
  });
}

const TASK = JSON.stringify({ name: 'test', steps: [{ run: 'true' }] });

test('submit prints the id of the new task, and nothing else, on standard output', async t => {
  const { api, folder, run } = await bench(t);
  await writeFile(join(folder, 'task.json'), TASK);
  const { code, out, err } = await run('submit', 'task.json');
  assert.equal(code, 0, err);
  assert.equal(out, `${await submitted(api)}\n`);
  assert.match(err, /simple-ci logs 5\w+ -f --url http/);
});

test('a task that cannot be followed is told of by its id, and how to return to it', async t => {
  const { api, folder, setting } = await bench(t);
  await writeFile(join(folder, 'task.json'), TASK);
  // A node that takes the task and is never heard of again.
  const node = createServer(async (request, response) => {
    if (request.method !== 'POST' || request.url !== '/v1/tasks') return void request.socket.destroy();
    const { authorization = '', 'content-type': type = '' } = request.headers;
    const headers = { authorization, 'content-type': type };
    const answer = await fetch(`${api.url}/v1/tasks`, { method: 'POST', headers, body: await text(request) });
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(await answer.text());
  }).listen(0, '127.0.0.1');
  t.after(() => node.close());
  await once(node, 'listening');
  const url = `http://127.0.0.1:${(node.address() as AddressInfo).port}`;
  const env = { ...setting.env, SIMPLE_CI_URL: url };
  const { code, err } = await cli(['submit', 'task.json', '--follow'], { ...setting, env });
  assert.equal(code, 3);
  const id = await submitted(api);
  assert.match(err, new RegExp(`^Submitted ${id}\\.$`, 'm'));
  assert.ok(err.includes(`the task goes on without you. To return to it: simple-ci logs ${id} -f --url ${url}`), err);
});

test('a task that ended while nobody held it is said to have run nowhere, beside where its attempts were', async t => {
  const { api, run } = await bench(t);
  const id = await submit(api.cluster);
  await releaseTask(
    api.cluster,
    await claim(api.cluster, id, await claimant(api.cluster)),
    'drained',
    '',
    neverAborted,
  );
  await run('cancel', id);
  const { out } = await run('task', id);
  assert.match(out, /^\S+ cancelled /);
  assert.doesNotMatch(out, /runs on/);
  assert.match(out, /Earlier attempts\n {2}1\. on \S+: drained/);
});

test('submit takes YAML from standard input', async t => {
  const { setting } = await bench(t, { input: 'name: from yaml\nsteps:\n  - run: "true"\n' });
  const { json } = await cli(['submit', '-', '--json', '--url', setting.env!.SIMPLE_CI_URL!], {
    ...setting,
  });
  assert.equal((json[0]!.task as { name: string }).name, 'from yaml');
});

test('a wrong task file is refused with the place of each mistake', async t => {
  const { folder, run } = await bench(t);
  await writeFile(join(folder, 'task.json'), '{\n  "name": "x",\n  "steps": [],\n  "priority": 12\n}');
  const { code, err } = await run('submit', 'task.json');
  assert.equal(code, 2);
  assert.match(
    err,
    /^simple-ci: Cannot submit task as its file is wrong:\n {2}task\.json:3:12: steps .*\n {2}task\.json:4:15: priority /,
  );
});

test('a task file that is too large, or not there, is refused', async t => {
  const { folder, run } = await bench(t);
  await writeFile(join(folder, 'task.json'), JSON.stringify({ name: 'x'.repeat(70_000) }));
  assert.match((await run('submit', 'task.json')).err, /is too large: 700\d\d bytes, at most 65536/);
  const missing = await run('submit', 'nothing.json');
  assert.equal(missing.code, 2);
  assert.match(missing.err, /Cannot submit task as its file cannot be read: "nothing\.json"/);
});

for (const outcome of Outcome.options) {
  const expected = {
    passed: 0,
    failed: 1,
    crashed: 1,
    invalid: 2,
    cancelled: 130,
    'timed-out': 4,
    'idle-timed-out': 4,
  };
  const code = (expected as Record<string, number>)[outcome] ?? 3;
  test(`following a task that ends ${outcome} ends with ${code}`, async t => {
    const { api, setting } = await bench(t, { input: TASK });
    const running = cli(['submit', '-', '-f', '--url', api.url], setting);
    await finish(api, await submitted(api), { outcome, message: 'The reason why' });
    const result = await running;
    assert.equal(result.code, code, result.err);
    assert.equal(result.out, 'Attempt 1 on n1\none line\n'.slice(result.out.startsWith('Attempt') ? 0 : 16));
    assert.match(
      result.err,
      new RegExp(`${outcome.replaceAll('-', ' ')} {2}test${code === 0 ? '\n' : ': The reason why'}`),
    );
  });
}

test('following with --json is a line for each thing that happens', async t => {
  const { api, setting } = await bench(t, { input: TASK });
  const running = cli(['submit', '-', '-f', '--json', '--url', api.url], setting);
  const id = await submitted(api);
  await finish(api, id);
  const { json, err, out } = await running;
  assert.deepEqual(
    json.map(({ event }) => event).filter(event => event !== 'queued'),
    ['submitted', 'attempt', 'output', 'attempt-ended', 'finished'],
  );
  assert.equal(json.length, out.trimEnd().split('\n').length);
  assert.equal(err, '');
  const { exitCode, id: finished } = json.at(-1) as { exitCode: number; id: string };
  assert.deepEqual([exitCode, finished], [0, id]);
});

test('Ctrl-C cancels the task and waits for its end', async t => {
  const { api, setting } = await bench(t, { input: TASK });
  const session = new TestCli(setting);
  const running = session.run('submit', '-', '-f');
  const id = await submitted(api);
  const held = await claim(api.cluster, id, await claimant(api.cluster));
  api.logs.attempt(held.fence);
  api.logs.print('started\n');
  await eventually('its output is shown', () => session.out.includes('started'));
  session.interrupt();
  await eventually('the task is asked to stop', async () => {
    const { task } = await readTaskState(api.cluster, id, neverAborted);
    return task?.value.cancelled;
  });
  assert.match(session.err, /Cancelling; Ctrl-C again leaves/);
  const { task } = await readTaskState(api.cluster, id, neverAborted);
  api.logs.end('finished');
  await completeTask(api.cluster, held, { ...passed(held), outcome: 'cancelled', task: task!.value }, neverAborted);
  const { code, err } = await running;
  assert.equal(code, 130);
  assert.match(err, /■ cancelled {2}test/);
});

test('a second Ctrl-C leaves the task running and says how to return', async t => {
  const { api, setting } = await bench(t, { input: TASK });
  const session = new TestCli(setting);
  const running = session.run('submit', '-', '-f', '--url', api.url);
  const id = await submitted(api);
  const held = await claim(api.cluster, id, await claimant(api.cluster));
  api.logs.attempt(held.fence);
  api.logs.print('started\n');
  await eventually('its output is shown', () => session.out.includes('started'));
  session.interrupt();
  session.interrupt();
  const { code, err } = await running;
  assert.equal(code, 130);
  assert.ok(err.includes(`simple-ci logs ${id} -f --url ${api.url}`), err);
  const { lock } = await readTaskState(api.cluster, id, neverAborted);
  assert.ok(lock, 'the task is still held by its node');
});

test('tasks are listed with their state, and as one JSON object', async t => {
  const { api, run } = await bench(t);
  const id = await submit(api.cluster, { name: 'build it' });
  await finish(api, await submit(api.cluster, { name: 'done' }), { outcome: 'failed' });
  const { out } = await run('tasks');
  const [title, ...lines] = out.trimEnd().split('\n');
  assert.match(title!, /^ID +STATE +NAME +TOOK +SUBMITTED +NODE$/);
  assert.ok(
    lines.some(line => new RegExp(`^${id}  … queued +build it +just now`).test(line)),
    out,
  );
  assert.ok(
    lines.some(line => /✗ failed +done +\d+ ms +just now +n1$/.test(line)),
    out,
  );
  const { json } = await run('tasks', '--json', '--state', 'queued');
  assert.deepEqual(
    (json[0]!.tasks as { id: string }[]).map(task => task.id),
    [id],
  );
});

test('a list is cut where it was told, and says that there is more', async t => {
  const { api, run } = await bench(t);
  for (let i = 0; i < 3; i++) await submit(api.cluster);
  const { out, err } = await run('tasks', '-n', '2');
  assert.equal(out.trimEnd().split('\n').length, 3);
  assert.match(err, /There are more/);
});

test('a task is found by the beginning or the end of its id', async t => {
  const { api, run } = await bench(t);
  const id = await submit(api.cluster, { name: 'the one' });
  await submit(api.cluster, { priority: 1 });
  for (const word of [id, id.slice(-7), id.slice(0, 12), id.toUpperCase()]) {
    const { json } = await run('task', word, '--json');
    assert.equal(json[0]?.id, id, word);
  }
});

test('half an id that several tasks have, or none, or that is too short, is refused', async t => {
  const { api, run } = await bench(t);
  const id = await submit(api.cluster, { name: 'first' });
  await submit(api.cluster, { name: 'second' });
  assert.match(
    (await run('task', id.slice(0, 6))).err,
    /Cannot tell which task "5\w+" is: (5\w+ \((first|second)\)(, )?){2}$/m,
  );
  assert.match((await run('task', 'zzzzzzz')).err, /Cannot find task: no id begins or ends with "zzzzzzz"/);
  assert.match((await run('task', '5ab')).err, /too short to tell: "5ab", at least 6/);
  assert.match((await run('task', '../../etc')).err, /Cannot use task id/);
});

test('a task is shown with how it went and where to look next', async t => {
  const { api, run } = await bench(t);
  const id = await submit(api.cluster, { name: 'build' });
  const steps = [
    { name: 'compile', outcome: 'passed', started: 0, finished: 1500 },
    { name: 'link', outcome: 'failed', exitCode: 3, started: 1500, finished: 2000 },
  ] satisfies TaskResult['steps'];
  await finish(api, id, { outcome: 'failed', message: 'Step "link" ended with exit code 3', steps });
  const { out } = await run('task', id);
  assert.match(out, /✗ failed {2}build\n +Step "link" ended with exit code 3\n/);
  assert.match(out, / {2}✓ compile: passed \(1\.5 s\)\n {2}✗ link: failed with exit code 3 \(500 ms\)\n/);
  assert.match(out, new RegExp(`Log: simple-ci logs ${id}`));
});

test('a task is cancelled by its id', async t => {
  const { api, run } = await bench(t);
  const id = await submit(api.cluster);
  const { code, out } = await run('cancel', id);
  assert.deepEqual([code, out], [0, `■ cancelled  ${id}\n`]);
});

test('a task is tried again under a new id', async t => {
  const { api, run } = await bench(t);
  const id = await submit(api.cluster, { name: 'again', priority: 2 });
  await finish(api, id, { outcome: 'failed' });
  const { out, code } = await run('retry', id);
  assert.equal(code, 0);
  assert.match(out, /^2[0-9a-z]{26}\n$/);
  assert.notEqual(out.trim(), id);
});

test('a raw log is what was printed, byte for byte', async t => {
  const { api, run } = await bench(t);
  const id = await submit(api.cluster);
  const held = await claim(api.cluster, id, await claimant(api.cluster));
  const bytes = Buffer.from([0, 1, 0xff, 0x1b, 0x5d, 0x0d, 0x0a, 0xc3]);
  api.logs.attempt(held.fence);
  api.logs.print(bytes);
  api.logs.end('finished');
  await completeTask(api.cluster, held, passed(held), neverAborted);
  assert.deepEqual(Buffer.from((await run('logs', id, '--raw')).out, 'latin1'), bytes);
  assert.deepEqual(Buffer.from((await run('logs', id, '--raw', '--from', '2')).out, 'latin1'), bytes.subarray(2));
  assert.deepEqual(Buffer.from((await run('logs', id, '--raw', '-f')).out, 'latin1'), bytes);
});

test('a log begins where it was told', async t => {
  const { api, run } = await bench(t);
  const id = await submit(api.cluster);
  await finish(api, id);
  assert.match((await run('logs', id, '--from', '4')).out, /(^|\n)line\n$/);
  assert.match((await run('logs', id, '--tail', '5')).out, /(^|\n)line\n$/);
  assert.match((await run('logs', id, '--from', '4', '--attempt', '7')).err, /the task has no attempt 7/);
});

test('ways of showing a log that exclude each other are refused', async t => {
  const { run } = await bench(t);
  assert.match((await run('logs', '5abcdef', '--raw', '--json')).err, /--raw and --json at once/);
  assert.match((await run('logs', '5abcdef', '--from', '1', '--tail', '1')).err, /--from and --tail at once/);
});

test('a new token is alone on standard output, and works until it is revoked', async t => {
  const { api, run, setting } = await bench(t);
  const { out, err } = await run('token', 'create', 'erika', '--role', 'viewer', '--expires', '1d');
  const token = out.trim();
  assert.match(err, /^Token \w{8} of erika, viewer/);
  const list = (await run('token', 'list', '--json')).json[0]!.tokens as { id: string; name: string }[];
  const { id } = list.find(one => one.name === 'erika')!;
  const asErika = { ...setting, env: { SIMPLE_CI_URL: api.url, SIMPLE_CI_TOKEN: token } };
  assert.equal((await cli(['tasks'], asErika)).code, 0);
  assert.match((await cli(['token', 'list'], asErika)).err, /^simple-ci: /);
  assert.deepEqual((await run('token', 'revoke', id, '--json')).json, [{ revoked: id }]);
});

test('nodes and secrets are listed as JSON, also when there are none', async t => {
  const { run } = await bench(t);
  assert.deepEqual((await run('nodes', '--json')).json, [{ nodes: [] }]);
  assert.deepEqual((await run('secret', 'list', '--json')).json, [{ secrets: [] }]);
});

test('login tries the token, keeps it, and commands use it from then on', async t => {
  const { api, folder } = await bench(t);
  const setting = { folder, home: folder, answers: [api.adminToken] };
  const login = await cli(['login', api.url], setting);
  assert.equal(login.code, 0, login.err);
  assert.match(login.err, /^Token for http.*Logged in to .* as .* \(admin\)/s);
  assert.equal((await cli(['tasks', '--json'], { folder, home: folder })).code, 0);
  const [cluster] = (await cli(['login', '--json'], setting)).json[0]!.logins as { cluster: string; active: boolean }[];
  assert.equal(cluster?.active, true);
  assert.equal((await cli(['login', '--forget', cluster!.cluster], setting)).code, 0);
  assert.doesNotMatch(await readFile(join(folder, 'config/logins.json'), 'utf8'), new RegExp(api.adminToken));
});

test('a login that was allowed to go over plain http is used without asking for that again', async t => {
  const { api, folder } = await bench(t);
  // This machine under an address that does not say so.
  const url = api.url.replace('127.0.0.1', '0.0.0.0');
  const setting = { folder, home: folder, input: api.adminToken };
  const refused = await cli(['login', url, '--token-stdin'], setting);
  assert.match(refused.err, /unencrypted.*--insecure-http/);
  const login = await cli(['login', url, '--token-stdin', '--insecure-http'], setting);
  assert.equal(login.code, 0, login.err);
  const tasks = await cli(['tasks', '--json'], { folder, home: folder });
  assert.equal(tasks.code, 0, tasks.err);
});

test('a token that is wrong is not kept', async t => {
  const { api, folder } = await bench(t);
  const { code } = await cli(['login', api.url, '--token-stdin'], { folder, home: folder, input: 'sci_wrong\n' });
  assert.equal(code, 2);
  assert.deepEqual((await cli(['login', '--json'], { folder, home: folder })).json, [{ logins: [] }]);
});

test('an empty token is refused before anybody is asked', async t => {
  const { folder } = await bench(t);
  const setting = { folder, home: folder, input: '\n' };
  const { code, err } = await cli(['login', 'http://127.0.0.1:9', '--token-stdin'], setting);
  assert.equal(code, 2);
  assert.match(err, /^simple-ci: Cannot log in to http:\/\/127\.0\.0\.1:9 as the token that was given is empty\n$/);
});

test('a token is revoked by its id: a name is refused with where ids are to be seen', async t => {
  const { run } = await bench(t);
  const { code, err } = await run('token', 'revoke', 'erika');
  assert.equal(code, 2);
  assert.match(err, /^simple-ci: Cannot revoke token as .*`token list` shows.*: "erika"\n$/);
});

test('a cluster that cannot be reached is 3, and one without a token is 2', async t => {
  const { folder } = await bench(t);
  const gone = { folder, home: folder, env: { SIMPLE_CI_URL: 'http://127.0.0.1:9', SIMPLE_CI_TOKEN: 'x' } };
  const unreachable = await cli(['tasks'], gone);
  assert.equal(unreachable.code, 3);
  assert.match(unreachable.err, /^simple-ci: Cannot reach the node at http:\/\/127\.0\.0\.1:9/);
  const nobody = await cli(['tasks', '--url', 'https://ci.example.com'], { folder, home: folder });
  assert.equal(nobody.code, 2);
  assert.match(nobody.err, /without a token: set SIMPLE_CI_TOKEN, or run `simple-ci login https:\/\/ci\.example\.com`/);
});

test('nobody reading on ends a command quietly', async t => {
  const { api, setting } = await bench(t);
  const id = await submit(api.cluster);
  const held = await claim(api.cluster, id, await claimant(api.cluster));
  api.logs.attempt(held.fence);
  api.logs.print('one\n');
  const session = new TestCli(setting);
  const running = session.run('logs', id, '-f');
  await eventually('its output is shown', () => session.out.includes('one'));
  session.closeOutput();
  assert.deepEqual(await running.then(({ code, err }) => [code, err]), [0, '']);
});

test('Ctrl-C ends a command that runs no task with 130', async t => {
  const { setting } = await bench(t);
  const session = new TestCli(setting);
  const running = session.run('tasks', '--watch');
  await eventually('the list is shown', () => session.out.includes('STATE'));
  session.interrupt();
  assert.equal((await running).code, 130);
});

test('the doctor ends with 1 when it finds a problem', async t => {
  const { setting } = await bench(t, {
    isolation: [{ level: 'problem', subject: 'none', what: 'Nothing keeps tasks away', advice: 'Do' }],
  });
  const { code, out } = await cli(['doctor'], setting);
  assert.equal(code, 1);
  assert.match(out, / {2}✗ none {10}Nothing keeps tasks away\n {18}Do\n/);
  assert.match(out, / {2}✓ git {11}\d+\.\d+/);
  assert.match(out, /\n1 problem, 2 warnings\n$/);
});

test('the doctor of a healthy place ends with 0', async t => {
  const { run } = await bench(t);
  const { code, json } = await run('doctor', '--json');
  assert.equal(code, 0, JSON.stringify(json));
  assert.equal(json[0]?.healthy, true);
});
