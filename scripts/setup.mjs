// Makes a checkout ready: the pinned Node and all dependencies, as package-lock.json has them. Runs on Node 18 or later.
import { spawn } from 'node:child_process';
import { access, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const OLDEST_NODE = 18;
const nodeMajor = Number(process.versions.node.split('.')[0]);

/** The Node that everything needs. Where no package brings it, the one that is there will do if it is as new. */
const NEEDED_NODE = 24;
const PLATFORM = process.platform === 'win32' ? 'win' : process.platform;
const packaged = `${root}node_modules/node-${PLATFORM}-${process.arch}/bin/node${process.platform === 'win32' ? '.exe' : ''}`;
const isPackaged = ['linux-x64', 'linux-arm64', 'darwin-x64', 'win-x64'].includes(`${PLATFORM}-${process.arch}`);

/** The Node that everything runs on, once `setUp` is done. In its package: some versions of npm do not link it. */
export const pinnedNode = isPackaged ? packaged : process.execPath;

/** What cannot be set up, as a sentence for whoever started it. */
export class SetupProblem extends Error {}

/** Installs what is missing, or nothing at all: then it is quiet and takes a few milliseconds. */
export async function setUp({ log }) {
  checkNode();
  await checkProgram('git', 'Simple CI keeps workspaces as git trees. On Debian: apt-get install git');
  if (!isPackaged && nodeMajor < NEEDED_NODE) throw new SetupProblem(noPinnedNode());
  if (await isInstalled()) return;
  await checkProgram('npm', 'It comes with Node.js: https://nodejs.org');
  const started = Date.now();
  log('Installing the dependencies, the pinned Node among them (about half a minute the first time) …');
  await install();
  if (!(await exists(pinnedNode))) throw new SetupProblem(noPinnedNode());
  log(`Installed in ${Math.round((Date.now() - started) / 1000)} s.`);
}

/** Runs `main`; a setup problem becomes one line instead of a stack. */
export async function orExplain(main) {
  try {
    process.exitCode = await main();
  } catch (error) {
    if (!(error instanceof SetupProblem)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}

function checkNode() {
  if (nodeMajor >= OLDEST_NODE) return;
  throw new SetupProblem(
    `Cannot set up as this Node is too old: ${process.version}, at least v${OLDEST_NODE} is needed`,
  );
}

async function checkProgram(name, advice) {
  const { failed } = await capture(name, ['--version']);
  if (failed) throw new SetupProblem(`Cannot set up as ${name} is missing. ${advice}`);
}

/**
 * Whether node_modules is what package-lock.json asks for. npm notes at the end of an installation what it has installed, so
 * one that was interrupted, or is of an older lock file, does not count; packages for other systems may be absent.
 */
async function isInstalled() {
  const [wanted, present] = await Promise.all([
    readPackages('package-lock.json'),
    readPackages('node_modules/.package-lock.json'),
  ]);
  if (!wanted || !present || !(await exists(pinnedNode))) return false;
  return Object.entries(wanted).every(([path, { version, integrity, optional, link }]) => {
    const found = present[path];
    if (path === '' || link || (!found && optional)) return true;
    return found?.version === version && found.integrity === integrity;
  });
}

async function readPackages(path) {
  try {
    return JSON.parse(await readFile(root + path, 'utf8')).packages;
  } catch {
    return undefined;
  }
}

/**
 * `npm install` and not `npm ci`, which refuses a lock file that lacks a package for some other system: registries often do
 * not have all of those. Versions and hashes are the lock file's all the same, and it is not written to. On a terminal npm
 * shows its own progress; elsewhere what it says matters only when it fails.
 */
async function install() {
  const argv = ['install', '--no-save', '--no-audit', '--no-fund', '--include=dev', '--include=optional'];
  const { failed, output } = await capture('npm', argv, process.stderr.isTTY ? 'inherit' : 'pipe');
  if (failed) throw new SetupProblem(`Cannot install the dependencies as npm failed:\n${errorsOf(output)}`);
}

/** npm explains its whole command line after an error. */
function errorsOf(output) {
  const errors = output.split('\n').filter(line => line.startsWith('npm error') && line !== 'npm error');
  return (errors.length > 0 ? errors.slice(0, 15).join('\n') : output).trimEnd();
}

/** NODE_ENV=production, which would leave out the tools, is none of this installation's business. */
function capture(program, argv, stderr = 'pipe') {
  return new Promise(resolve => {
    const { NODE_ENV: _, ...env } = process.env;
    const shell = process.platform === 'win32';
    const child = spawn(program, argv, { cwd: root, env, shell, stdio: ['ignore', 'pipe', stderr] });
    let output = '';
    const take = chunk => {
      output += chunk;
    };
    child.stdout.on('data', take);
    child.stderr?.on('data', take);
    child.on('error', error => resolve({ failed: true, output: error.message }));
    child.on('close', code => resolve({ failed: code !== 0, output }));
  });
}

function noPinnedNode() {
  const system = `${process.platform}-${process.arch}`;
  return `Cannot run on this system as there is no pinned Node for it: ${system}. Install Node ${NEEDED_NODE} or later and try again`;
}

async function exists(path) {
  return access(path).then(
    () => true,
    () => false,
  );
}
