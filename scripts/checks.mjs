// The checks that need no server: types, lint, dead code, and the tests that start nothing but processes of their own.
import { spawn } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { onPinnedNode } from './run.mjs';
import { pinnedNode } from './setup.mjs';

export const root = fileURLToPath(new URL('..', import.meta.url));
const bin = name => `${root}node_modules/.bin/${name}`;

/** Runs a program; resolves with its exit code and all it printed. */
export function run(argv, { env = process.env, cwd = root, onOutput } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(argv[0], argv.slice(1), {
      cwd,
      env: onPinnedNode(env),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    const take = chunk => {
      output += chunk;
      onOutput?.(chunk);
    };
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    child.on('error', reject);
    child.on('close', code => resolve({ code, output }));
  });
}

const STATIC_CHECKS = [
  ['types of shared/', [bin('tsc'), '-p', 'shared']],
  ['types of shared/log-viewer/', [bin('tsc'), '-p', 'shared/log-viewer']],
  ['types of extension/', [bin('tsc'), '-p', 'extension']],
  ['types of extension/webview/', [bin('tsc'), '-p', 'extension/webview']],
  ['types of node-runtime/', [bin('tsc'), '-p', 'node-runtime']],
  ['types of test/', [bin('tsc'), '-p', 'test']],
  ['types of test/log-viewer/page.ts', [bin('tsc'), '-p', 'test/log-viewer']],
  ['lint and format', [bin('biome'), 'check', '--error-on-warnings', '.']],
  ['dead code and dependencies', [bin('knip')]],
];

/** Type check, lint and dead code: `{passed, failed}`. Two at a time. */
export async function runStaticChecks(log) {
  const counts = { passed: 0, failed: 0 };
  const queue = [...STATIC_CHECKS];
  const worker = async () => {
    for (let check = queue.shift(); check; check = queue.shift()) {
      const [name, argv] = check;
      const { code, output } = await run(argv);
      log(`${code === 0 ? '✓' : '✗'} ${name}`);
      if (code !== 0) log(output);
      counts[code === 0 ? 'passed' : 'failed']++;
    }
  };
  await Promise.all([worker(), worker()]);
  return counts;
}

/** Tests with real processes, disks and leases in numbers: too slow for the quick part. */
const THOROUGH =
  /\.contract\.test|^runner\/|^fuzz\/|^simulation\/|^workspace\/(snapshot|upload|pack)|^objects\/directory|^logs\/log-writer|^store\/embedded-store\.test|^extension\/(local-node|submit-workspace|cluster-connection|log-feed)/;

/**
 * All test files: the quick ones, the thorough ones that need nothing but this machine, and those that need a server. A test
 * that imports a server's support file needs it. Those of the images have a command of their own.
 */
export async function findTests() {
  const names = (await readdir(`${root}test`, { recursive: true })).filter(name => name.endsWith('.test.ts')).sort();
  const quick = [];
  const thorough = [];
  const withServers = [];
  for (const name of names.filter(name => !name.startsWith('images/'))) {
    const text = await readFile(`${root}test/${name}`, 'utf8');
    const needsServer =
      /^(end-to-end|vscode|log-viewer)\//.test(name) || /support\/(etcd|ceph)-server|needs-servers/.test(text);
    const list = needsServer ? withServers : THOROUGH.test(name) ? thorough : quick;
    list.push(`test/${name}`);
  }
  return { quick, thorough, withServers };
}

/** Runs test files and returns what they counted. A file that dies, or a run without any test, is a failure. */
export async function runTests(files, { concurrency = 2, env = process.env, globalSetup } = {}) {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  if (files.length === 0) return counts;
  const argv = [
    pinnedNode,
    '--test',
    `--test-concurrency=${concurrency}`,
    '--test-timeout=600000',
    '--test-reporter=./scripts/test-reporter.mjs',
    ...(globalSetup ? [`--test-global-setup=${globalSetup}`] : []),
    ...files,
  ];
  const { code, output } = await run(argv, { env, onOutput: chunk => process.stdout.write(chunk) });
  const last = output.trimEnd().split('\n').at(-1) ?? '';
  const match = /^(\d+) passed, (\d+) failed, (\d+) skipped/.exec(last);
  if (!match) return { ...counts, failed: 1 };
  [counts.passed, counts.failed, counts.skipped] = match.slice(1).map(Number);
  if (code !== 0 && counts.failed === 0) counts.failed = 1;
  return counts;
}

export function add(a, b) {
  return { passed: a.passed + b.passed, failed: a.failed + b.failed, skipped: (a.skipped ?? 0) + (b.skipped ?? 0) };
}

export function sentence({ passed, failed, skipped = 0 }) {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}
