// `npm run test:electron`: the tests inside the extension host, in the VS Code that people have on their desktops. It is the one that
// VSCODE_EXECUTABLE_PATH names, else one is downloaded: the version that VSCODE_VERSION names, or the oldest that is supported.
// Ends with 0 if all tests passed, 1 if not, and 77 if there is no VS Code to be had.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { downloadAndUnzipVSCode, runTests } from '@vscode/test-electron';
import { buildHostSuite, readHostResults, root, writeWorkspace } from '../support/in-host-suite.ts';
import { packagedExtension } from '../support/packaged-extension.ts';

const SKIPPED = 77;

async function findVscode(): Promise<string | undefined> {
  const { VSCODE_EXECUTABLE_PATH: path, VSCODE_VERSION: wanted } = process.env;
  if (path) return path;
  const { engines } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
  try {
    return await downloadAndUnzipVSCode(wanted || engines.vscode.replace('^', ''));
  } catch (error) {
    console.log(`skipped: there is no VS Code to test in, and none to be downloaded (${(error as Error).message}).`);
    console.log('Name an installed one: VSCODE_EXECUTABLE_PATH=/usr/share/code/code npm run test:electron');
    return undefined;
  }
}

async function main(): Promise<number> {
  const vscodeExecutablePath = await findVscode();
  if (vscodeExecutablePath === undefined) return SKIPPED;
  await packagedExtension();
  // Short: sockets lie in it.
  const folder = await mkdtemp('/tmp/sci-el-');
  const results = join(folder, 'results.json');
  try {
    await writeWorkspace(join(folder, 'ws'));
    // Started from a terminal of VS Code, the new one would take itself for a plain Node.
    delete process.env.ELECTRON_RUN_AS_NODE;
    await runTests({
      vscodeExecutablePath,
      extensionDevelopmentPath: root,
      extensionTestsPath: await buildHostSuite(),
      launchArgs: [join(folder, 'ws'), '--disable-extensions', `--user-data-dir=${join(folder, 'data')}`],
      extensionTestsEnv: { SIMPLE_CI_HOST_RESULTS: results },
    }).catch(error => console.log(String(error)));
    const all = await readHostResults(results);
    for (const { name, failure } of all)
      console.log(`${failure === undefined ? '✓' : '✗'} ${name}${failure ? `\n${failure}` : ''}`);
    return all.every(({ failure }) => failure === undefined) ? 0 : 1;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

process.exitCode = await main();
