import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createClient } from '../../shared/client.ts';
import { clusterNode, endAllNodes } from '../support/cluster-node.ts';
import { requireVscode, startCodeServer } from '../support/code-server.ts';
import { commitWorkspace } from '../support/in-host-suite.ts';
import { packagedExtension } from '../support/packaged-extension.ts';
import { temporaryFolder } from '../support/simple-ci.ts';
import { eventually, taskSpec } from '../support/test-tasks.ts';
import { Workbench } from '../support/workbench.ts';

const PICTURES = fileURLToPath(new URL('../../dist/pictures', import.meta.url));

/** A busy machine takes its time to start a node. */
const LIMIT_MS = 120_000;

const FILES = {
  'simple-ci.yaml': `tasks:
  tell:
    run: echo here I am
  break:
    run: exit 3
  hang:
    run: sleep 1000
  later:
    run: exit 3
    labels: [later]
`,
};

after(endAllNodes);

test('of several clusters one is meant: one switches between them, stops the local node, and forgets others', async t => {
  if (!requireVscode(t)) return;
  await using server = await startCodeServer({ files: FILES, vsix: [await packagedExtension()] });
  await using data = await temporaryFolder();
  const acme = await clusterNode({ cluster: 'acme/ci', name: 'a1', data: `${data.path}/a` });
  const globex = await clusterNode({ cluster: 'globex/ci', name: 'g1', data: `${data.path}/g` });
  await using workbench = await Workbench.open(server.url);
  const { page } = workbench;
  const nodeIs = (what: string, isIt: (name: string) => boolean) =>
    eventually(
      what,
      async () => {
        const rows = await workbench.rows('Nodes');
        return rows.length === 1 && isIt(rows[0]!.label) ? rows[0]!.label : undefined;
      },
      LIMIT_MS,
    );
  const isLocal = (name: string) => name !== '' && name !== 'a1' && name !== 'g1';
  const notice = async (text: string | RegExp) => {
    await page.locator('.notification-toast', { hasText: text }).first().waitFor();
    await workbench.command('Notifications: Clear All Notifications');
  };
  const inTitle = (title: string, give: (timeout: number) => Promise<unknown>) =>
    workbench.answerList(title, timeout => workbench.chooseInTitle('Tasks', title, timeout), give);
  const picture = (name: string) => workbench.screenshot(PICTURES, name);
  try {
    await workbench.openSideBar('Simple CI');
    await page.getByRole('button', { name: 'Start a Local Node' }).click();
    const local = await nodeIs('the local node is there', isLocal);
    await workbench.answer('Simple CI: Run Task from Workspace', timeout => workbench.pickLabel('tell', timeout));
    await workbench.row('Tasks', 'it has passed', row => row.label === 'tell' && /passed/.test(row.spoken));

    await workbench.connect(acme.address, acme.token!);
    await nodeIs('acme is meant', name => name === 'a1');
    await page.getByRole('button', { name: 'Run Task from Workspace' }).first().waitFor();
    assert.deepEqual(await workbench.rows('Tasks'), [], 'what ran on this machine is not shown as of acme');
    await workbench.connect(globex.address, 'sci_wrong');
    await page.locator('.quick-input-widget', { hasText: 'refused that token' }).waitFor();
    await picture('refused-token');
    await workbench.type(globex.token!);
    await nodeIs('globex is meant', name => name === 'g1');

    await inTitle('Switch Cluster…', async timeout => {
      await page.locator('.quick-input-list .monaco-list-row', { hasText: 'acme/ci' }).waitFor({ timeout });
      await picture('switch-cluster');
      await workbench.pickLabel('acme/ci', timeout);
    });
    await nodeIs('acme is meant again', name => name === 'a1');
    await workbench.answer('Simple CI: Switch Cluster', timeout => workbench.pickLabel('Local node', timeout));
    assert.equal(await nodeIs('the local node is meant again', isLocal), local, 'it went on meanwhile');
    await workbench.row('Tasks', 'its task is there', row => row.label === 'tell' && /passed/.test(row.spoken));

    await workbench.answer('Simple CI: Switch Cluster', timeout => workbench.pickLabel('acme/ci', timeout));
    await nodeIs('acme is meant', name => name === 'a1');
    await workbench.moveMouseAway();
    await inTitle('Stop Local Node', timeout =>
      page.locator('.notification-toast', { hasText: 'The local node has been stopped.' }).waitFor({ timeout }),
    );
    await picture('local-node-stopped');
    await workbench.command('Notifications: Clear All Notifications');
    await nodeIs('acme is meant still', name => name === 'a1');
    await workbench.answer('Simple CI: Switch Cluster', timeout => workbench.pickLabel('Local node', timeout));
    assert.notEqual(await nodeIs('a local node is there', isLocal), local, 'the first one has ended');
    await workbench.row('Tasks', 'what ran before is kept', row => row.label === 'tell' && /passed/.test(row.spoken));
    await workbench.command('Simple CI: Stop Local Node');
    await page.getByRole('button', { name: 'Start a Local Node' }).waitFor();
    await picture('no-cluster-again');

    await workbench.answer('Simple CI: Switch Cluster', timeout => workbench.pickLabel('globex/ci', timeout));
    await nodeIs('globex is meant', name => name === 'g1');
    await workbench.answer('Simple CI: Forget Cluster', timeout => workbench.pickLabel('acme/ci', timeout));
    await notice(`Forgot cluster acme/ci at ${acme.address}, and its token.`);
    await nodeIs('globex is meant still', name => name === 'g1');
    await inTitle('Forget Cluster…', async timeout => {
      await page.locator('.quick-input-list .monaco-list-row', { hasText: 'globex/ci' }).waitFor({ timeout });
      assert.equal(await page.locator('.quick-input-list .monaco-list-row').count(), 1);
      await workbench.pickLabel('globex/ci', timeout);
    });
    await notice('Forgot cluster globex/ci');
    await page.getByRole('button', { name: 'Start a Local Node' }).waitFor();
    await workbench.command('Simple CI: Forget Cluster');
    await notice('there is nothing to forget');
  } finally {
    await picture('several-clusters');
  }
});

test('of many tasks one sees one’s own, those of this branch, those that failed or that run, and then all again', async t => {
  if (!requireVscode(t)) return;
  const settings = { 'git.enabled': true };
  await using server = await startCodeServer({ files: FILES, settings, vsix: [await packagedExtension()] });
  const checkOut = (...words: string[]) => execFileSync('git', ['checkout', '-q', ...words], { cwd: server.workspace });
  await commitWorkspace(server.workspace, 'main');
  await using data = await temporaryFolder();
  const node = await clusterNode({ name: 'n1', data: data.path });
  await using admin = createClient({ urls: [node.address], token: node.token! });
  const { token } = await admin.call('createToken', { body: { name: 'ann', role: 'runner' } }, t.signal);
  await admin.call('submitTask', { body: { task: taskSpec({ name: 'theirs' }) } }, t.signal);
  await using workbench = await Workbench.open(server.url);
  const { page } = workbench;
  const shown = async () => (await workbench.rows('Tasks')).map(({ label }) => label).sort();
  const areShown = (what: string, ...names: string[]) =>
    eventually(what, async () => ((await shown()).join() === names.join() ? true : undefined), LIMIT_MS);
  const run = (name: string) =>
    workbench.answer('Simple CI: Run Task from Workspace', timeout => workbench.pickLabel(name, timeout));
  const toggle = (...names: string[]) =>
    workbench.answer('Simple CI: Filter Tasks', async timeout => {
      for (const name of names) await workbench.pickLabel(name, timeout);
      await page.locator('.quick-input-widget').getByRole('button', { name: 'OK' }).click({ timeout });
    });
  const isTold = (words: string) =>
    workbench.pane('Tasks').locator('.pane-header .description', { hasText: words }).waitFor();
  const picture = async (name: string) => {
    await workbench.moveMouseAway();
    await workbench.screenshot(PICTURES, name);
  };
  try {
    await workbench.openSideBar('Simple CI');
    await page.getByRole('button', { name: 'Connect to a Cluster' }).click();
    await workbench.answerConnect(node.address, token);
    await areShown('the task of somebody else is there', 'theirs');
    await run('tell');
    await page.locator('.monaco-dialog-box').getByRole('button', { name: 'Send', exact: true }).click();
    await workbench.row('Tasks', 'it has passed', row => row.label === 'tell' && /passed/.test(row.spoken));
    checkOut('-b', 'topic');
    await run('break');
    await workbench.row('Tasks', 'it has failed', row => row.label === 'break' && /failed/.test(row.spoken));
    await run('hang');
    await workbench.row('Tasks', 'it runs', row => row.label === 'hang' && /running/.test(row.spoken));
    await areShown('all are there', 'break', 'hang', 'tell', 'theirs');
    await workbench.command('Notifications: Clear All Notifications');

    await toggle('Mine');
    await areShown('those of somebody else are not', 'break', 'hang', 'tell');
    await isTold('acme/ci · only mine');
    await picture('filter-mine');
    await toggle('This branch');
    await areShown('those of the other branch are not', 'break', 'hang');
    await isTold('acme/ci · only mine, this branch');
    checkOut('main');
    await areShown('the branch is followed', 'tell');
    checkOut('topic');
    await areShown('and followed back', 'break', 'hang');
    await toggle('Failed');
    await areShown('what runs is not', 'break');
    await isTold('acme/ci · only mine, this branch, failed');
    checkOut('main');
    await page.getByText('No task passes the filter.').waitFor();
    assert.deepEqual(await shown(), []);
    await picture('filter-none');
    await page.getByRole('button', { name: 'Show All Tasks' }).last().click();
    await areShown('all are there again', 'break', 'hang', 'tell', 'theirs');

    await toggle('Running and queued');
    await areShown('what runs is there', 'hang');
    await isTold('acme/ci · only under way');
    await workbench.command('Simple CI: Cancel Task');
    await page.getByText('No task passes the filter.').waitFor();
    await toggle('Failed', 'Running and queued');
    await areShown('what failed is there', 'break');
    await workbench.pane('Tasks').locator('.pane-header').hover();
    await workbench.pane('Tasks').locator('.pane-header').getByRole('button', { name: 'Show All Tasks' }).click();
    await areShown('all are there once more', 'break', 'hang', 'tell', 'theirs');
    await workbench
      .pane('Tasks')
      .locator('.pane-header .description', { hasText: 'only' })
      .waitFor({ state: 'detached' });
  } finally {
    await picture('filters');
  }
});

test('the end of a task is told also when the window was loaded anew since it was run', async t => {
  if (!requireVscode(t)) return;
  await using server = await startCodeServer({ files: FILES, vsix: [await packagedExtension()] });
  await using data = await temporaryFolder();
  const node = await clusterNode({ name: 'n1', data: data.path });
  await using workbench = await Workbench.open(server.url);
  const { page } = workbench;
  const notice = page.locator('.notification-toast', { hasText: 'later: failed after' });
  try {
    await workbench.openSideBar('Simple CI');
    await page.getByRole('button', { name: 'Connect to a Cluster' }).click();
    await workbench.answerConnect(node.address, node.token!);
    await workbench.row('Nodes', 'it is connected', row => row.label === 'n1');
    await workbench.answer('Simple CI: Run Task from Workspace', timeout => workbench.pickLabel('later', timeout));
    await page.locator('.monaco-dialog-box').getByRole('button', { name: 'Send', exact: true }).click();
    await workbench.row('Tasks', 'it waits for a node', row => row.label === 'later' && /queued/.test(row.spoken));
    // Whose log is looked at is not told of.
    await workbench.command('View: Hide Panel');
    await workbench.reload();
    await workbench.row('Tasks', 'it is known again', row => row.label === 'later' && /queued/.test(row.spoken));
    await clusterNode({ name: 'n2', data: data.path, labels: ['later'] });
    await notice.waitFor({ timeout: LIMIT_MS });
  } finally {
    await workbench.screenshot(PICTURES, 'told-after-reload');
  }
});
