// `node scripts/run.mjs FILE args…`: sets the checkout up, then runs FILE on the pinned Node.
// `node scripts/run.mjs --bin NAME args…`: the same for a program of node_modules/.bin.
// `node scripts/run.mjs --servers FILE args…`: installs etcd, Ceph and small programs too; what cannot be had is said, and FILE runs.
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { delimiter, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installServers } from './install-servers.mjs';
import { orExplain, pinnedNode, setUp } from './setup.mjs';

const bin = fileURLToPath(new URL('../node_modules/.bin', import.meta.url));

/** An environment in which `node` is the pinned one, and the programs of the dependencies are found. */
export function onPinnedNode(env) {
  return { ...env, PATH: [dirname(pinnedNode), bin, env.PATH ?? ''].join(delimiter) };
}

/** Runs a command in the foreground, the pinned Node first on its PATH, and resolves with its exit code. */
export function runOnPinnedNode(argv, { env = process.env, cwd, stdio = 'inherit' } = {}) {
  const child = spawn(argv[0], argv.slice(1), {
    cwd,
    stdio,
    env: onPinnedNode(env),
  });
  const undo = passSignalsTo(child);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      undo();
      resolve(code ?? 128 + (constants.signals[signal] ?? 0));
    });
  });
}

/**
 * So that ending this process ends what it runs. A Ctrl-C on a terminal reaches the child twice then, from the terminal and from
 * here, as it does from npm: programs take two within a moment for one.
 */
function passSignalsTo(child) {
  const handlers = ['SIGINT', 'SIGTERM', 'SIGHUP'].map(signal => {
    const pass = () => child.kill(signal);
    process.on(signal, pass);
    return () => process.off(signal, pass);
  });
  return () => {
    for (const undo of handlers) undo();
  };
}

async function main() {
  await setUp({ log: console.error });
  const needsServers = process.argv[2] === '--servers';
  const [first, ...rest] = process.argv.slice(needsServers ? 3 : 2);
  if (needsServers) await installServers({ log: console.error });
  if (first === undefined) {
    console.error('Usage: node scripts/run.mjs [--servers] FILE [args…], or --bin NAME [args…]');
    return 2;
  }
  const isBin = first === '--bin';
  const argv = isBin ? [`${bin}/${rest[0]}`, ...rest.slice(1)] : [pinnedNode, first, ...rest];
  return runOnPinnedNode(argv);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await orExplain(main);
