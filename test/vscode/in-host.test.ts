import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { requireVscode, startCodeServer } from '../support/code-server.ts';
import {
  buildHostSuite,
  commitWorkspace,
  HOST_BRANCH,
  HOST_WORKSPACE,
  readHostResults,
  root,
} from '../support/in-host-suite.ts';
import { packagedExtension } from '../support/packaged-extension.ts';
import { Workbench } from '../support/workbench.ts';

const ENDS_WITHIN_MS = 600_000;

test('inside the extension host', async t => {
  if (!requireVscode(t)) return;
  await packagedExtension();
  const suite = await buildHostSuite();
  const folder = await mkdtemp('/tmp/sci-host-');
  t.after(() => rm(folder, { recursive: true, force: true }));
  const results = join(folder, 'results.json');
  await using server = await startCodeServer({
    files: HOST_WORKSPACE,
    env: { SIMPLE_CI_HOST_RESULTS: results },
    settings: { 'git.enabled': true },
  });
  await commitWorkspace(server.workspace, HOST_BRANCH);
  await using workbench = await Workbench.openForTests(server.url, { extension: root.replace(/\/$/, ''), suite });
  await workbench.testsEnded(ENDS_WITHIN_MS);
  for (const { name, failure } of await readHostResults(results))
    await t.test(name, () => assert.equal(failure, undefined, failure));
});
