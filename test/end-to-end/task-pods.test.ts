import assert from 'node:assert/strict';
import { createCipheriv, createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { whyNoCeph } from '../support/ceph-server.ts';
import { makeAuthority, makeCertificate } from '../support/certificates.ts';
import { serveGit } from '../support/git-http-backend.ts';
import { GitWorkspace } from '../support/git-workspace.ts';
import { type PodsCluster, type PodsStage, podsStage } from '../support/pods-stage.ts';
import { smallDisk } from '../support/small-disk.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { eventually } from '../support/test-tasks.ts';

suite('tasks in pods of their own', { concurrency: 1, skip: whyNoCeph() }, () => {
  let stage: PodsStage;
  let cluster: PodsCluster;
  before(async () => {
    stage = await podsStage();
    cluster = await stage.cluster();
    await cluster.addNode('ci-1');
  });
  after(async () => {
    await cluster?.[Symbol.asyncDispose]();
    await stage?.[Symbol.asyncDispose]();
  });

  const logOf = async (task: string) => (await cluster.cli(['logs', task, '--raw'])).bytes;
  const noPods = () => eventually('all pods are gone', () => stage.kubelet.pods.length === 0 || undefined);
  const running = (script: string, changes: object = {}) => cluster.submit({ ...changes, steps: [{ run: script }] });

  test('a task passes in a pod that has no service account, with its log byte for byte', async () => {
    const task = await running('printf "a\\000b\\n"; echo "$PWD"; id -u; ls /var/run/secrets 2>/dev/null || echo none');
    const result = await cluster.finished(task);
    assert.equal(result.outcome, 'passed', JSON.stringify(result));
    assert.equal((await logOf(task)).toString(), 'a\0b\n/simple-ci/task/workspace\n10001\nnone\n');
    await noPods();
  });

  test('much output comes whole, what steps leave running included, and each step has its own exit code', async () => {
    const task = await cluster.submit({
      steps: [
        {
          run: 'head -c 20000000 /dev/zero | openssl enc -aes-128-ctr -K 00 -iv 00 2>/dev/null',
          continueOnError: true,
        },
        { run: '(sleep 0.5; echo late) & exit 7', continueOnError: true },
        { run: 'sleep 1; exit 9' },
        { run: 'echo never' },
      ],
    });
    const result = await cluster.finished(task);
    assert.equal(result.outcome, 'failed');
    assert.deepEqual(
      result.steps.map(({ outcome, exitCode }) => [outcome, exitCode]),
      [
        ['passed', 0],
        ['failed', 7],
        ['failed', 9],
        ['skipped', undefined],
      ],
    );
    const log = await logOf(task);
    const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16));
    const sum = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
    assert.equal(log.length, 20_000_000 + 'late\n'.length);
    assert.equal(sum(log.subarray(0, 20_000_000)), sum(cipher.update(Buffer.alloc(20_000_000))));
    assert.equal(log.subarray(20_000_000).toString(), 'late\n');
  });

  test('a workspace with its changes goes in, artifacts come out, and secrets are masked', async () => {
    await using folder = await temporaryFolder();
    const root = folder.path;
    await mkdir(join(root, 'src'));
    await writeFile(join(root, 'src/input.txt'), 'from the workspace\n');
    const secret = 'correct horse battery staple';
    await cluster.cli(['secret', 'set', 'TOKEN'], { input: secret });
    const tasks = `tasks:
  build:
    secrets: [TOKEN]
    artifacts: ["out/**", "nothing/*.txt"]
    steps:
      - run: |
          cat src/input.txt
          echo "$TOKEN"
          mkdir -p out/deep && printf %s "$TOKEN" | wc -c > out/deep/length
          printf '#!/bin/sh\\n' > out/run && chmod +x out/run
          ln -s /etc/passwd out/link
`;
    await writeFile(join(root, 'simple-ci.yaml'), tasks);
    const kept = join(root, 'kept');
    const ran = await cluster.cli(['run', 'build'], { cwd: root });
    assert.equal(ran.code, 0, ran.stderr);
    const { stdout: listed } = await cluster.cli(['tasks', '--json']);
    const { id } = (JSON.parse(listed).tasks as { id: string; name: string }[]).find(({ name }) => name === 'build')!;
    const fetched = await cluster.cli(['artifacts', id, '-o', kept]);
    assert.equal(fetched.code, 0, fetched.stderr);
    assert.match(ran.stdout, /^from the workspace\n\*\*\*$/m);
    assert.match(`${ran.stdout}${ran.stderr}`, /No file matches the artifact pattern "nothing\/\*\.txt"/);
    assert.equal((await readFile(join(kept, 'out/deep/length'), 'utf8')).trim(), String(secret.length));
    assert.ok((await stat(join(kept, 'out/run'))).mode & 0o100);
    await assert.rejects(stat(join(kept, 'out/link')));
    assert.ok(!JSON.stringify(stage.kubernetes.seen).includes(secret), 'Kubernetes is not told the secret');
  });

  test('a commit of a git server is checked out in the pod, by what the image of the node trusts', async () => {
    await using folder = await temporaryFolder();
    const authority = makeAuthority(folder.path, 'git-ca');
    const { cert, key } = makeCertificate(folder.path, 'git', authority, 'serverAuth');
    using repository = GitWorkspace.repository();
    repository.write('greeting.txt', 'from the git server\n');
    repository.git('add', '.');
    repository.git('commit', '--quiet', '-m', 'First');
    const commit = repository.git('rev-parse', 'HEAD').trim();
    const identity = { cert: await readFile(cert), key: await readFile(key) };
    const server = createServer(identity, (request, response) => serveGit(repository.folder, request, response));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const own = stage.kubelet.images.get('simple-ci:test')!;
    stage.kubelet.images.set('simple-ci:test', {
      ...own,
      files: { '/etc/ssl/certs/ca-certificates.crt': authority.cert },
    });
    try {
      const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/work/.git`;
      const source = { type: 'git', url, ref: 'main' };
      const task = await running('cat greeting.txt; git rev-parse HEAD', { source, image: 'tool:1' });
      const result = await cluster.finished(task);
      assert.deepEqual([result.outcome, result.commit], ['passed', commit], JSON.stringify(result));
      assert.equal((await logOf(task)).toString(), `from the git server\n${commit}\n`);
    } finally {
      stage.kubelet.images.set('simple-ci:test', own);
      server.closeAllConnections();
      server.close();
    }
  });

  test('in an image of its own a task has what that sets, and nothing of the pod’s', async () => {
    const task = await cluster.submit({
      image: 'tool:1',
      env: { OWN: 'yes' },
      steps: [{ run: 'echo "$TOOL $OWN $PATH $HOME"; env | grep -c -e KUBERNETES -e SIMPLE_CI_POD' }],
    });
    assert.equal((await cluster.finished(task)).outcome, 'failed');
    const log = (await logOf(task)).toString();
    assert.equal(log, 'there yes /opt/tool/bin:/usr/bin:/bin /simple-ci/task/home\n0\n');
  });

  test('an image needs none of the libraries that the node runs on', async () => {
    const library = /\/\S+libstdc\+\+\S*/.exec(await readFile('/proc/self/maps', 'utf8'))![0];
    stage.kubelet.images.set('bare:1', { hides: [library] });
    const task = await running(`test ! -s ${library} && echo without`, { image: 'bare:1' });
    assert.equal((await cluster.finished(task)).outcome, 'passed');
    assert.equal((await logOf(task)).toString(), 'without\n');
  });

  test('a cancelled task is told to stop, and its pod is gone', async () => {
    const task = await running('trap "echo told; exit 0" TERM; echo begun; while :; do sleep 0.1; done');
    await cluster.podOf(task);
    await eventually('it has begun', async () => (await logOf(task)).includes('begun') || undefined);
    await cluster.cli(['cancel', task]);
    assert.equal((await cluster.finished(task)).outcome, 'cancelled');
    assert.match((await logOf(task)).toString(), /^begun\n(Terminated\n)?told\n$/);
    await noPods();
  });

  test('a task that holds up its own supervisor is cancelled all the same, and its pod is gone', async () => {
    const task = await running('kill -STOP $PPID; echo held; sleep 3600');
    const pod = await cluster.podOf(task);
    await eventually('it has begun', async () => (await logOf(task)).includes('held') || undefined);
    await cluster.cli(['cancel', task]);
    const { outcome, message } = await cluster.finished(task, 240_000);
    assert.equal(outcome, 'cancelled', message);
    await eventually('its pod is gone', () => !stage.kubelet.pods.includes(pod) || undefined);
  });

  test('a task is cancelled also while its pod waits for a place', async () => {
    stage.kubelet.isFull = true;
    try {
      const task = await running('true');
      await cluster.running(task);
      await eventually('its pod waits', () => stage.kubelet.pods.length === 1 || undefined);
      await cluster.cli(['cancel', task]);
      assert.equal((await cluster.finished(task)).outcome, 'cancelled');
      await noPods();
    } finally {
      stage.kubelet.isFull = false;
    }
  });

  test('time limits of the task, of a step and of its silence hold', async () => {
    const [whole, step, silent] = await Promise.all([
      running('sleep 3600', { timeout: '4s' }),
      cluster.submit({ steps: [{ run: 'sleep 3600', timeout: '1s' }] }),
      running('echo once; sleep 3600', { idleTimeout: '1s' }),
    ]);
    const outcomes = (await Promise.all([whole, step, silent].map(id => cluster.finished(id)))).map(it => it.outcome);
    assert.deepEqual(outcomes, ['timed-out', 'timed-out', 'idle-timed-out']);
    await noPods();
  });

  test('an image that is nowhere, and one in which nothing can be started, are told as the task’s own fault', async () => {
    stage.kubelet.images.set('no-shell:1', { without: '/bin' });
    const [missing, broken] = await Promise.all([
      running('true', { image: 'registry.example/none:1' }),
      running('true', { image: 'no-shell:1' }),
    ]);
    const results = await Promise.all([missing, broken].map(id => cluster.finished(id)));
    assert.deepEqual(
      results.map(it => it.outcome),
      ['invalid', 'invalid'],
    );
    assert.match(
      results[0]!.message,
      /its image "registry\.example\/none:1" cannot be pulled: ErrImagePull: .*not found/,
    );
    assert.match(results[1]!.message, /in its image "no-shell:1", which must have \/bin\/sh: /);
  });

  test('a task takes so many times the resources as it takes slots', async () => {
    const task = await running('true', { slots: 2 });
    await cluster.finished(task);
    const made = stage.kubernetes.seen.findLast(({ verb, path }) => verb === 'create' && !path.includes('dryRun'));
    const { containers } = (made!.body as { spec: { containers: { resources: object }[] } }).spec;
    assert.deepEqual(containers[0]!.resources, {
      requests: { 'ephemeral-storage': '0', cpu: '2', memory: '4Gi' },
      limits: { 'ephemeral-storage': String(11 * 2 ** 30), memory: '4Gi' },
    });
  });

  test('what pods hand over has its room on the node: large ones go one after the other, larger ones are refused', async () => {
    await cluster.addNode('narrow', { args: ['--data-size', '16Mi', '--labels', 'narrow'] });
    const keeping = (bytes: number) =>
      running(`head -c ${bytes} /dev/zero > out`, { labels: ['narrow'], artifacts: ['out'] });
    // A half of 16 MiB; of that a quarter of a half, for each of four slots, and the other half.
    const most = 5 * 2 ** 20;
    const tasks = await Promise.all([most, most, most, most + 1].map(keeping));
    const results = await Promise.all(tasks.map(task => cluster.finished(task, 120_000)));
    assert.deepEqual(
      results.map(({ outcome, artifacts }) => [outcome, artifacts.bytes]),
      [
        ['passed', most],
        ['passed', most],
        ['passed', most],
        ['failed', 0],
      ],
    );
    assert.match(results[3]!.message, new RegExp(`Cannot keep the artifacts as they take more than ${most} bytes`));
  });

  test('a node whose own disk is full gives the attempt up, and says so', async t => {
    await using disk = await smallDisk('4m');
    if (!disk) return t.skip('this machine does not allow mounting a tmpfs');
    await cluster.addNode('full', { args: ['--data', join(disk.path, 'data'), '--labels', 'full'] });
    const task = await running('head -c 8000000 /dev/zero > out', { labels: ['full'], artifacts: ['out'] });
    const past = await eventually('an attempt has ended', async () => (await cluster.view(task)).past[0], 90_000);
    assert.equal(past.end, 'infrastructure');
    assert.match(past.message ?? '', /^Cannot keep the artifacts as there is no space left: "/);
    assert.equal((await cluster.cli(['cancel', task])).code, 0);
  });
});
