import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { lstat, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { type CephS3, startCeph, whyNoCeph } from '../support/ceph-server.ts';
import { type EtcdServer, startEtcd } from '../support/etcd-server.ts';
import { keysUnder } from '../support/etcdctl.ts';
import { type RealCluster, realCluster } from '../support/real-cluster.ts';
import { temporaryFolder } from '../support/simple-ci.ts';
import { eventually } from '../support/test-tasks.ts';

let etcd: EtcdServer;
let s3: CephS3;
let cluster: RealCluster;
const skip = whyNoCeph();

before(async () => {
  if (skip) return;
  [etcd, s3] = await Promise.all([startEtcd(), startCeph()]);
  cluster = await realCluster({ etcd, s3 }, 'n1');
});
after(async () => {
  await cluster?.[Symbol.asyncDispose]();
  await etcd?.[Symbol.asyncDispose]();
  await s3?.[Symbol.asyncDispose]();
});

/** Submits the task, follows it, and tells how the command and the task ended. */
async function follow(task: object) {
  const input = JSON.stringify({ name: 'test', ...task });
  const { code, stdout, stderr } = await cluster.cli(['submit', '-', '--follow'], { input });
  const id = /task (\w{27})/.exec(stderr)?.[1] ?? '';
  assert.notEqual(id, '', stderr);
  const { outcome, message, steps } = await cluster.finished(id);
  return { id, code, stdout, stderr, outcome, message, steps: steps.map(step => [step.outcome, step.exitCode]) };
}

suite('how a task ends, and what the command ends with', { skip }, () => {
  test('every step exits with 0: passed, 0', async () => {
    const it = await follow({ steps: [{ run: 'true' }, { run: 'true' }] });
    assert.deepEqual([it.outcome, it.code], ['passed', 0]);
  });

  test('a step exits with something else: failed, 1, and later steps are skipped', async () => {
    const it = await follow({ steps: [{ run: 'exit 42' }, { run: 'true' }] });
    assert.deepEqual([it.outcome, it.code], ['failed', 1]);
    assert.deepEqual(it.steps, [
      ['failed', 42],
      ['skipped', undefined],
    ]);
    assert.match(it.message, /Step 1 "exit 42": .*42/);
  });

  test('a step that may fail does: passed, 0, with its exit code kept', async () => {
    const it = await follow({ steps: [{ run: 'exit 5', continueOnError: true }, { run: 'true' }] });
    assert.deepEqual([it.outcome, it.code], ['passed', 0]);
    assert.deepEqual(it.steps, [
      ['failed', 5],
      ['passed', 0],
    ]);
  });

  test('a program that there is not: failed, 1, and is named', async () => {
    const it = await follow({ steps: [{ run: 'x', shell: ['/no/such/program'] }] });
    assert.deepEqual([it.outcome, it.code], ['failed', 1]);
    assert.match(it.message, /\/no\/such\/program/);
  });

  test('it takes longer than its timeout: timed-out, 4', async () => {
    const it = await follow({ timeout: '1s', steps: [{ run: 'echo a; sleep 300' }, { run: 'true' }] });
    assert.deepEqual([it.outcome, it.code], ['timed-out', 4]);
    assert.match(it.stdout, /^a$/m);
    assert.match(it.message, /longer than its timeout of 1\.0 s/);
  });

  test('a step takes longer than its own timeout: timed-out, 4, even if it may fail', async () => {
    const it = await follow({ steps: [{ run: 'sleep 300', timeout: 1, continueOnError: true }] });
    assert.deepEqual([it.outcome, it.code], ['timed-out', 4]);
  });

  test('it is silent for its idle timeout: idle-timed-out, 4; one that prints goes on', async () => {
    const silent = follow({ idleTimeout: '2s', steps: [{ run: 'echo a; sleep 300' }] });
    const busy = follow({ idleTimeout: '4s', steps: [{ run: 'for i in 1 2 3 4 5 6 7; do echo $i; sleep 1; done' }] });
    assert.deepEqual([(await silent).outcome, (await silent).code], ['idle-timed-out', 4]);
    assert.deepEqual([(await busy).outcome, (await busy).code], ['passed', 0]);
  });

  test('a secret that there is not: invalid, 2, and is named', async () => {
    const it = await follow({ secrets: ['NO_SUCH_SECRET'], steps: [{ run: 'true' }] });
    assert.deepEqual([it.outcome, it.code], ['invalid', 2]);
    assert.match(it.message, /^Cannot .*NO_SUCH_SECRET/);
  });

  test('a git server that cannot be reached by its name: it is not the task that failed', async () => {
    const source = { type: 'git', url: 'https://simple-ci.invalid/a.git', ref: 'main' };
    const it = await follow({ source, attempts: { lost: 1 }, steps: [{ run: 'true' }] });
    assert.deepEqual([it.outcome, it.code], ['infrastructure-lost', 3]);
    assert.match(it.message, /simple-ci\.invalid/);
  });

  test('it may be started once, and its process is killed from outside: dead-lettered, 3', async () => {
    const it = await follow({ idempotent: false, steps: [{ run: 'kill -9 $$' }] });
    assert.deepEqual([it.outcome, it.code], ['dead-lettered', 3]);
  });

  test('its process is killed from outside as often as it may be: crashed, 1', async () => {
    const it = await follow({ attempts: { crashed: 2 }, steps: [{ run: 'kill -9 $$' }] });
    assert.deepEqual([it.outcome, it.code], ['crashed', 1]);
    assert.equal((await cluster.finished(it.id)).past.length, 2);
  });

  test('what its script runs is killed from outside: crashed, 1, as when it were the step itself', async () => {
    const it = await follow({
      attempts: { crashed: 1 },
      steps: [{ run: "sh -c 'kill -9 $$' || exit $?; echo never" }],
    });
    assert.deepEqual([it.outcome, it.code], ['crashed', 1]);
    assert.doesNotMatch(it.stdout, /^never$/m);
  });

  test('another command cancels it: cancelled, 130, and its grandchildren are gone', async () => {
    const input = JSON.stringify({
      name: 'test',
      steps: [{ run: 'echo begun; setsid sleep 4321 & setsid sh -c "sleep 4322 & wait" & wait' }],
    });
    const following = await cluster.begin(['submit', '-', '--follow'], { input });
    await eventually('it runs', () => following.out().includes('begun') || undefined);
    const [id] = (await keysUnder(etcd, `${cluster.id}/tasks/`)).map(key => key.split('/').at(-1));
    assert.equal((await cluster.cli(['cancel', id ?? ''])).code, 0);
    assert.equal(await following.ended, 130, following.err());
    assert.equal((await cluster.finished(id ?? '')).outcome, 'cancelled');
    await eventually('nothing of it runs', async () =>
      (await commands()).some(line => /sleep 432[12]/.test(line)) ? undefined : true,
    );
  });

  test('Ctrl-C cancels it: 130; a second one leaves it and says how to return', async () => {
    const input = JSON.stringify({
      name: 'test',
      steps: [{ run: 'trap "" TERM; echo begun; while :; do sleep 1; done' }],
    });
    const following = await cluster.begin(['submit', '-', '--follow'], { input });
    await eventually('it runs', () => following.out().includes('begun') || undefined);
    following.child.kill('SIGINT');
    await eventually('it says so', () => /Cancelling/.test(following.err()) || undefined);
    // An interrupt right after the first one counts as the same: terminals and npm send it twice.
    await eventually('it left', () => {
      following.child.kill('SIGINT');
      return following.child.exitCode !== null || undefined;
    });
    assert.equal(await following.ended, 130);
    const [, words = ''] = /To return to it: \S+ (logs \w+ -f)/.exec(following.err()) ?? [];
    assert.notEqual(words, '', following.err());
    const back = await cluster.cli(words.split(' '));
    assert.equal(back.code, 0, back.stderr);
    assert.equal((await cluster.finished(words.split(' ')[1]!)).outcome, 'cancelled');
  });
});

suite('artifacts on S3', { skip }, () => {
  test('come back with their bytes and modes, under names of every kind', async () => {
    await using folder = await temporaryFolder();
    const id = await cluster.submit({
      artifacts: ['out/**', 'single', 'none/*.x'],
      steps: [
        {
          run: `mkdir -p "out/a b/ünï"; head -c 3000000 /dev/urandom > "out/a b/ünï/名前 .bin"; printf x > "out/-rf"; printf y > 'out/q"uo'"'"'te$(id)'; printf z > $'out/new\\nline\\e[31m'; printf b > 'out/back\\slash'
echo '#!/bin/sh' > single; chmod +x single; : > out/empty; sha256sum "out/a b/ünï/名前 .bin" | cut -c1-64`,
        },
      ],
    });
    assert.equal((await cluster.finished(id)).outcome, 'passed');
    const { stdout } = await cluster.cli(['logs', id]);
    const { artifacts } = JSON.parse((await cluster.cli(['artifacts', id, '--json'])).stdout);
    assert.deepEqual(
      artifacts.map(({ path }: { path: string }) => path).sort(),
      [
        'out/-rf',
        'out/a b/ünï/名前 .bin',
        'out/empty',
        `out/q"uo'te$(id)`,
        'single',
        'out/new\nline\u001b[31m',
        'out/back\\slash',
      ].sort(),
    );
    const fetched = await cluster.cli(['artifacts', id, '-o', folder.path]);
    assert.equal(fetched.code, 0, fetched.stderr);
    assert.ok(!(fetched.stdout + fetched.stderr).includes('\u001b'));
    const bytes = await readFile(join(folder.path, 'out/a b/ünï/名前 .bin'));
    assert.ok(stdout.includes(createHash('sha256').update(bytes).digest('hex')));
    assert.equal((await lstat(join(folder.path, 'single'))).mode & 0o111, 0o111 & ~process.umask());
    assert.equal((await lstat(join(folder.path, 'out/-rf'))).mode & 0o111, 0);
    assert.match(stdout, /No file matches the artifact pattern "none\/\*\.x"/);
  });

  test('are kept under the fence that the result names, also when the task fails', async () => {
    const id = await cluster.submit({ artifacts: ['report'], steps: [{ run: 'echo bad > report; exit 1' }] });
    const { fence, outcome, artifacts } = await cluster.finished(id);
    assert.deepEqual([outcome, artifacts.count, artifacts.bytes], ['failed', 1, 4]);
    const keys = await objectKeys(`${cluster.id}/`, id);
    assert.ok(keys.length > 0);
    for (const key of keys) assert.match(key, new RegExp(`/tasks/${id}/0*${fence}/`));
    assert.equal((await cluster.cli(['artifacts', id, 'report', '-o', '-'])).stdout, 'bad\n');
  });

  test('are never what a link leads to', async () => {
    const id = await cluster.submit({
      artifacts: ['out/**', 'hosts'],
      steps: [
        {
          run: 'mkdir out; ln -s /etc/passwd out/passwd; ln -s /etc out/etc; ln -s /etc/hosts hosts; echo own > out/own',
        },
      ],
    });
    await cluster.finished(id);
    const { artifacts } = JSON.parse((await cluster.cli(['artifacts', id, '--json'])).stdout);
    assert.deepEqual(
      artifacts.map(({ path }: { path: string }) => path),
      ['out/own'],
    );
  });

  test('of more files than can be kept are the task’s own fault: failed, and none is kept', async () => {
    const id = await cluster.submit({ artifacts: ['**'], steps: [{ run: 'mkfifo pipe; seq 10001 | xargs touch' }] });
    const result = await cluster.finished(id);
    assert.equal(result.outcome, 'failed');
    assert.match(result.message, /more than 10000 files/);
    assert.equal((await cluster.cli(['artifacts', id, '--json'])).stdout.trim(), '{"artifacts":[]}');
  });
});

async function objectKeys(prefix: string, part: string): Promise<string[]> {
  const { ListObjectsV2Command, S3Client } = await import('@aws-sdk/client-s3');
  const { endpoint, credentials, bucket } = s3;
  const client = new S3Client({ endpoint, credentials, region: 'us-east-1', forcePathStyle: true });
  const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix }));
  client.destroy();
  return Contents.map(({ Key = '' }) => Key).filter(key => key.includes(part));
}

/** The command lines of all processes. */
async function commands(): Promise<string[]> {
  const ids = (await readdir('/proc')).filter(name => /^\d+$/.test(name));
  const lines = await Promise.all(ids.map(id => readFile(`/proc/${id}/cmdline`, 'utf8').catch(() => '')));
  return lines.map(line => line.replaceAll('\0', ' '));
}
