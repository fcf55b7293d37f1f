// Installs programs that tests need from the packages of Debian or Ubuntu, where that is possible. Runs on Node 18 or later.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { open, unlink } from 'node:fs/promises';
import { delimiter, join } from 'node:path';

/** While it exists and says 101, installing a package starts no service: etcd-server would start an etcd on port 2379. */
const GUARD = '/usr/sbin/policy-rc.d';
const APT = ['-q', '-o', 'DPkg::Lock::Timeout=300', '-o', 'Acquire::Retries=3'];

/** Those of them whose programs are not all there. */
export function missingPrograms(wanted) {
  return wanted.filter(({ programs }) => !programs.every(isThere));
}

/**
 * Installs what is missing of `wanted`, if it may; returns what is not there afterwards. Each is what it is called, the programs
 * that must be there, and the packages that bring them.
 */
export async function installPrograms(wanted, { log, size }) {
  const missing = missingPrograms(wanted);
  if (missing.length === 0) return [];
  const obstacle = whyNotInstall();
  if (obstacle === undefined) await install(missing, { log, size });
  const left = missingPrograms(wanted);
  if (left.length > 0) log(instruction(left, obstacle));
  return left;
}

/** Some systems keep servers out of the PATH of ordinary users. */
function isThere(program) {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin', '/usr/local/bin'];
  return folders.some(folder => existsSync(join(folder, program)));
}

function whyNotInstall() {
  if (process.platform !== 'linux' || !isThere('apt-get')) return 'this system has no apt-get';
  if (process.getuid() !== 0) return 'only root may install packages';
  return undefined;
}

function instruction(missing, obstacle) {
  const names = missing.map(program => program.name).join(', ');
  const packages = missing.flatMap(program => program.packages).join(' ');
  return [
    `Missing for some of the tests: ${names}${obstacle === undefined ? '' : ` (not installed as ${obstacle})`}.`,
    'Those tests are skipped. To have them, on Debian or Ubuntu:',
    `  sudo apt-get install --no-install-recommends ${packages}`,
  ].join('\n');
}

async function install(missing, { log, size }) {
  const started = Date.now();
  const packages = missing.flatMap(program => program.packages);
  log(`Installing ${missing.map(({ name }) => name).join(', ')} for the tests (${size}; about a minute) …`);
  const removeGuard = await addGuard();
  try {
    await apt(['update'], () => undefined);
    await apt(['install', '-y', '--no-install-recommends', ...packages], progress(log));
    log(`Installed in ${Math.round((Date.now() - started) / 1000)} s.`);
  } catch (error) {
    log(`Cannot install packages as ${error.message}`);
  } finally {
    await removeGuard();
  }
}

/** Returns what takes the guard away again: nothing, when it was not made here. */
async function addGuard() {
  let file;
  try {
    file = await open(GUARD, 'wx', 0o755);
  } catch (error) {
    if (error.code === 'EEXIST') return async () => undefined;
    throw error;
  }
  await file.writeFile('#!/bin/sh\nexit 101\n');
  await file.chmod(0o755);
  await file.close();
  const remove = () => unlink(GUARD).catch(() => undefined);
  const interrupted = signal => {
    remove().then(() => process.kill(process.pid, signal));
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  for (const signal of signals) process.once(signal, interrupted);
  return async () => {
    for (const signal of signals) process.off(signal, interrupted);
    await remove();
  };
}

/** Runs apt-get; fails with the end of what it said. */
function apt(args, onLine) {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' };
    const child = spawn('apt-get', [...APT, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const said = [];
    const take = chunk => {
      for (const line of chunk.split('\n').filter(line => line.trim() !== '')) {
        said.push(line);
        onLine(line);
      }
    };
    child.stdout.setEncoding('utf8').on('data', take);
    child.stderr.setEncoding('utf8').on('data', take);
    child.on('error', reject);
    child.on('close', code => {
      if (code === 0) return resolve();
      reject(new Error(`apt-get ${args[0]} ended with ${code}:\n${said.slice(-8).join('\n')}`));
    });
  });
}

/** Says every few seconds how far apt-get is. */
function progress(log) {
  let total = '?';
  let said = Date.now();
  const done = { Get: 0, Unpacking: 0, Setting: 0 };
  const words = { Get: 'downloaded', Unpacking: 'unpacked', Setting: 'set up' };
  return line => {
    total = /(\d+) newly installed/.exec(line)?.[1] ?? total;
    const [, step] = /^(Get|Unpacking|Setting)\b/.exec(line) ?? [];
    if (step === undefined) return;
    done[step]++;
    if (Date.now() - said < 3000) return;
    said = Date.now();
    log(`  ${words[step]} ${done[step]} of ${total} packages`);
  };
}
