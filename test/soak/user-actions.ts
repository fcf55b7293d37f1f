import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TaskSpec } from '../../shared/task.ts';
import { simpleCi } from '../support/simple-ci.ts';
import type { UserWorld } from './user-world.ts';

export interface UserAction {
  readonly name: string;
  /** How often, beside the others. */
  readonly share: number;
  /** Fails when something is not as it should be. */
  run(world: UserWorld): Promise<void>;
}

const SECRET = 'SOAK_SECRET';
/** A value that is in no other line. */
const SECRET_VALUE = 'soak-secret-5f2c81d04e';

/** What users do, all day. */
export const USER_ACTIONS: readonly UserAction[] = [
  { name: 'a short task', share: 26, run: runQuick },
  { name: 'a task that somebody follows', share: 10, run: runFollowed },
  { name: 'a task with much output', share: 3, run: world => runTalker(world, false) },
  { name: 'a task with much output that somebody follows', share: 2, run: world => runTalker(world, true) },
  { name: 'a workspace', share: 2, run: runWorkspace },
  { name: 'a task with artifacts', share: 4, run: runKeeper },
  { name: 'a task that fails', share: 4, run: runFailing },
  { name: 'a task that times out', share: 1, run: runTimingOut },
  { name: 'a task that is cancelled', share: 3, run: runCancelled },
  { name: 'a task that prints a secret', share: 2, run: runSecretive },
  { name: 'a follower that leaves', share: 6, run: followAndLeave },
  { name: 'a follower that stalls', share: 2, run: followAndStall },
  { name: 'an old log', share: 6, run: readOldLog },
  { name: 'a list', share: 10, run: list },
  { name: 'somebody who watches tasks', share: 2, run: world => watch(world, 'watchTasks') },
  { name: 'somebody who watches nodes', share: 1, run: world => watch(world, 'watchNodes') },
  { name: 'a token made, used and revoked', share: 2, run: useToken },
  { name: 'a stranger', share: 2, run: visitAsStranger },
  { name: 'connections of followers cut', share: 1, run: async ({ stage }) => stage.wayToNode.cut() },
  { name: 'connections to etcd cut', share: 0.2, run: async ({ stage }) => stage.wayToEtcd.cut() },
];

function script(run: string, more: Partial<TaskSpec> = {}): Partial<TaskSpec> {
  return { name: run.slice(0, 60), steps: [{ run }], ...more };
}

async function runQuick(world: UserWorld): Promise<void> {
  const word = String(world.draw.whole(1, 1e9));
  const id = await world.submit(script(`echo ${word}; echo end`));
  await world.finish(id, 'passed');
  world.remember({ id, log: `${word}\nend\n` });
}

async function runFollowed(world: UserWorld): Promise<void> {
  const lines = world.draw.whole(5, 40);
  const id = await world.submit(script(`for i in $(seq ${lines}); do echo line $i; sleep 0.1; done`));
  const expected = Array.from({ length: lines }, (_, at) => `line ${at + 1}\n`).join('');
  const text = Buffer.concat(await readLog(world, id)).toString();
  if (text !== expected) throw new Error(`A follower of ${id} was told: ${text.slice(0, 300)}`);
  await world.finish(id, 'passed');
  world.remember({ id, log: expected });
}

/** Numbers, up to some megabytes. */
async function runTalker(world: UserWorld, isFollowed: boolean): Promise<void> {
  const last = world.draw.whole(100_000, 700_000);
  const id = await world.submit(script(`seq ${last}; seq ${last} | tail -c 100 >&2`));
  if (isFollowed) {
    let bytes = 0;
    for (const chunk of await readLog(world, id)) bytes += chunk.length;
    if (bytes !== bytesOfNumbers(last) + 100) throw new Error(`A follower of ${id} was told ${bytes} bytes`);
  }
  const { result } = await world.finish(id, 'passed');
  if (result.log.bytes !== bytesOfNumbers(last) + 100)
    throw new Error(`The log of ${id} has ${result.log.bytes} bytes`);
}

function bytesOfNumbers(last: number): number {
  let bytes = 0;
  for (let digits = 1, from = 1; from <= last; digits++, from *= 10)
    bytes += (Math.min(last, from * 10 - 1) - from + 1) * (digits + 1);
  return bytes;
}

async function readLog({ shaky, signal }: UserWorld, id: string): Promise<Uint8Array[]> {
  const chunks: Uint8Array[] = [];
  for await (const event of shaky.log(id, { follow: true }, signal))
    if (event.kind === 'bytes') chunks.push(event.bytes);
  return chunks;
}

/** A folder with an edit since the last time, sent by the command line. Two at once would be two edits at once. */
let workspaces = 0;
async function runWorkspace(world: UserWorld): Promise<void> {
  const folder = join(world.stage.home, `workspace-${workspaces++ % 4}`);
  const text = `edited ${world.draw.whole(1, 1e9)}\n`;
  await mkdir(join(folder, 'deep/er'), { recursive: true });
  for (let at = 0; at < 20; at++) await writeFile(join(folder, `deep/er/file-${at}`), `file ${at}\n`);
  const name = `edited-${world.draw.whole(1, 3)}`;
  await writeFile(join(folder, name), text);
  const { code, stdout, stderr } = await simpleCi(['run', '--', 'cat', name, 'deep/er/file-7'], {
    cwd: folder,
    env: { HOME: world.stage.home, SIMPLE_CI_URL: world.stage.node.address, SIMPLE_CI_TOKEN: world.stage.token },
  });
  const isRight = code === 0 && stdout.includes(`\n${text}file 7\n`);
  world.tasks++;
  if (!isRight) throw new Error(`A run in a workspace ended with ${code}: ${stderr} ${stdout.slice(0, 200)}`);
}

async function runKeeper(world: UserWorld): Promise<void> {
  const last = world.draw.whole(1000, 50_000);
  const id = await world.submit(
    script(`mkdir -p kept/deep; seq ${last} > kept/numbers; echo $SIMPLE_CI_TASK > kept/deep/task`, {
      artifacts: ['kept'],
    }),
  );
  await world.finish(id, 'passed');
  const { artifacts: files } = await world.ask(() =>
    world.stage.client.call('listArtifacts', { params: { id } }, world.signal),
  );
  const numbers = files.find(({ path }) => path === 'kept/numbers');
  if (files.length !== 2 || !numbers) throw new Error(`Task ${id} has kept ${files.length} files`);
  const hash = createHash('sha256');
  for await (const chunk of world.stage.client.download(id, 'kept/numbers', world.signal)) hash.update(chunk);
  if (hash.digest('hex') !== numbers.sha256) throw new Error(`An artifact of ${id} is not what its manifest says`);
}

async function runFailing(world: UserWorld): Promise<void> {
  const id = await world.submit(script('echo before; exit 7; echo after'));
  await world.finish(id, 'failed');
  world.remember({ id, log: 'before\n' });
}

async function runTimingOut(world: UserWorld): Promise<void> {
  await world.finish(await world.submit(script('echo begun; sleep 600', { timeout: '1s' })), 'timed-out');
}

async function runCancelled(world: UserWorld): Promise<void> {
  const id = await world.submit(script('echo begun; sleep 600 & wait'));
  await world.running(id);
  await world.pause(world.draw.whole(0, 1500));
  await world.ask(() => world.stage.client.call('cancelTask', { params: { id } }, world.signal));
  await world.finish(id, 'cancelled');
}

async function runSecretive(world: UserWorld): Promise<void> {
  const { client } = world.stage;
  const put = { params: { name: SECRET }, body: { value: SECRET_VALUE } };
  await world.ask(() => client.call('putSecret', put, world.signal));
  const id = await world.submit(script(`echo "it is $${SECRET}"`, { secrets: [SECRET] }));
  await world.finish(id, 'passed');
  world.remember({ id, log: 'it is ***\n' });
}

/** Of a task that goes on for a while. */
async function followAndLeave(world: UserWorld): Promise<void> {
  const id = await world.submit(script('for i in $(seq 30); do echo line $i; sleep 0.1; done'));
  const leaving = new AbortController();
  const signal = AbortSignal.any([world.signal, leaving.signal]);
  const leave = world.pause(world.draw.whole(50, 4000)).finally(() => leaving.abort());
  try {
    for await (const _ of world.shaky.log(id, { follow: true }, signal));
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  await leave;
  await world.finish(id, 'passed');
}

/** Takes a little of a large log, then nothing for some seconds, and goes. */
async function followAndStall(world: UserWorld): Promise<void> {
  const id = await world.submit(script('seq 600000'));
  const leaving = new AbortController();
  const signal = AbortSignal.any([world.signal, leaving.signal]);
  const events = world.shaky.log(id, { follow: true }, signal)[Symbol.asyncIterator]();
  for (let next = await events.next(); !next.done && next.value.kind !== 'bytes'; ) next = await events.next();
  await world.pause(world.draw.whole(3000, 9000));
  leaving.abort();
  await events.return?.();
  await world.finish(id, 'passed');
}

async function readOldLog(world: UserWorld): Promise<void> {
  if (world.ended.length === 0) return;
  const { id, log } = world.draw.of(world.ended);
  const chunks = await world.ask(() => Array.fromAsync(world.stage.client.rawLog(id, {}, world.signal)));
  const text = Buffer.concat(chunks).toString();
  if (text !== log) throw new Error(`The old log of ${id} reads: ${text.slice(0, 300)}`);
}

async function list(world: UserWorld): Promise<void> {
  const limit = world.draw.whole(1, 300);
  let after: string | undefined;
  for (let page = 0; page < 3; page++) {
    const query = { limit, ...(after !== undefined && { after }) };
    const { next } = await world.ask(() => world.stage.client.call('listTasks', { query }, world.signal));
    if (next === undefined) return;
    after = next;
  }
}

/** For a while from the first word on, which comes soon, but on a busy machine not at once. */
async function watch(world: UserWorld, what: 'watchTasks' | 'watchNodes'): Promise<void> {
  const leaving = new AbortController();
  const signal = AbortSignal.any([world.signal, leaving.signal]);
  let leave: Promise<void> | undefined;
  try {
    for await (const _ of world.shaky[what](signal))
      leave ??= world.pause(world.draw.whole(2000, 20_000)).finally(() => leaving.abort());
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  await leave;
}

async function useToken(world: UserWorld): Promise<void> {
  const { client, node } = world.stage;
  const body = { name: 'soak', role: 'viewer' as const, expiresSeconds: 3600 };
  const { token, view } = await client.call('createToken', { body }, world.signal);
  const look = () =>
    fetch(`${node.address}/v1/tasks?limit=1`, { headers: { authorization: `Bearer ${token}` }, signal: world.signal });
  const first = await look();
  await first.body?.cancel();
  await world.ask(() => client.call('revokeToken', { params: { id: view.id } }, world.signal));
  if (!first.ok && first.status !== 503) throw new Error(`A new token was answered ${first.status}`);
}

/** Whom nobody knows, and who does not know what to say. */
async function visitAsStranger(world: UserWorld): Promise<void> {
  const { node, token } = world.stage;
  const post = async (authorization: string, body: string) => {
    const headers = { authorization, 'content-type': 'application/json' };
    const answer = await fetch(`${node.address}/v1/tasks`, { method: 'POST', headers, body, signal: world.signal });
    await answer.body?.cancel();
    return answer.status;
  };
  const unknown = await post('Bearer sci_v_nobody', '{}');
  if (unknown !== 401 && unknown !== 429) throw new Error(`A stranger was answered ${unknown}`);
  const nonsense = await post(`Bearer ${token}`, '{"task": 7');
  if (nonsense !== 400) throw new Error(`Nonsense was answered ${nonsense}`);
}
