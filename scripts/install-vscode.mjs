// Installs a real VS Code to test the extension in (code-server: VS Code with its own extension host, in a browser) and the browser to look
// at it with. Quiet and instant when they are there. Runs on Node 18 or later; also by itself: `node scripts/install-vscode.mjs`.
import { access, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { spawn } from 'node:child_process';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installPrograms } from './debian-packages.mjs';
import { pinnedNode } from './setup.mjs';

/** VS Code 1.139.1. Outside of package.json: 300 MB that nobody needs who does not test the extension. */
const CODE_SERVER = '4.139.1';
const INSTALLED_NOTE = `code-server@${CODE_SERVER}`;
const folder = fileURLToPath(new URL('../.cache/vscode', import.meta.url));

/** What is started with the pinned Node to run it. */
export const codeServer = join(folder, 'node_modules/code-server/out/node/entry.js');

const BROWSER = [{ name: 'chromium', programs: ['chromium'], packages: ['chromium', 'fonts-dejavu-core'] }];

/** The browser alone. */
export async function installBrowser({ log }) {
  const missing = await installPrograms(BROWSER, { log, size: 'up to 110 MB' });
  return { missing: missing.map(({ name }) => name) };
}

/** Installs what is missing, if it may. `missing` names what is not there afterwards. */
export async function installVscode({ log }) {
  const { missing } = await installBrowser({ log });
  if (!(await isInstalled()) && !(await install(log))) missing.push('code-server');
  return { missing };
}

/** The note is written last: an installation that was interrupted does not count. */
async function isInstalled() {
  const note = await readFile(join(folder, 'installed'), 'utf8').catch(() => '');
  return note === INSTALLED_NOTE && (await exists(codeServer));
}

async function install(log) {
  const started = Date.now();
  log(`Installing code-server ${CODE_SERVER} for the tests of the extension (300 MB; about a minute) …`);
  const fresh = `${folder}.${process.pid}`;
  try {
    await mkdir(fresh, { recursive: true });
    const dependencies = { 'code-server': CODE_SERVER };
    await writeFile(
      join(fresh, 'package.json'),
      JSON.stringify({ name: 'vscode-to-test', private: true, dependencies }),
    );
    await npmInstall(fresh);
    // What its install script would do, without building what is not needed. The list of versions is the one it ships.
    await npmInstall(join(fresh, 'node_modules/code-server/lib/vscode'));
    await writeFile(join(fresh, 'installed'), INSTALLED_NOTE);
    await rm(folder, { recursive: true, force: true });
    await rename(fresh, folder);
    log(`Installed in ${Math.round((Date.now() - started) / 1000)} s.`);
    return true;
  } catch (error) {
    log(`Cannot install code-server as ${error.message}`);
    return false;
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
}

/** Without install scripts: nothing is compiled. */
function npmInstall(cwd) {
  const argv = ['install', '--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund'];
  const env = { ...process.env, PATH: [dirname(pinnedNode), process.env.PATH ?? ''].join(delimiter) };
  return new Promise((resolve, reject) => {
    const shell = process.platform === 'win32';
    const child = spawn('npm', argv, { cwd, env, shell, stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', text => {
      said = (said + text).slice(-2000);
    });
    child.on('error', reject);
    child.on('close', code => (code === 0 ? resolve() : reject(new Error(`npm ended with ${code}:\n${said}`))));
  });
}

function exists(path) {
  return access(path).then(
    () => true,
    () => false,
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { missing } = await installVscode({ log: text => console.log(text) });
  if (missing.length === 0) console.log('VS Code and a browser for the tests are installed.');
  process.exitCode = missing.length === 0 ? 0 : 1;
}
