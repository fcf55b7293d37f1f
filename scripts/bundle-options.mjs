// What every bundle of the program has in common.
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const execute = promisify(execFile);

/**
 * How Node is to be started with the program. Left to itself, V8 gives a busy node up to 128 MB for new things alone, bit by bit over
 * hours; with 16 MB for each half it has the most it will have within minutes.
 */
export const NODE_FLAGS = ['--max-semi-space-size=16'];

/** Options for esbuild. The plugins are imported here, so that a program may import this file before the dependencies are installed. */
export async function bundleOptions(info) {
  const { etcd3Proto } = await import('./etcd3-proto-plugin.mjs');
  const { zodLocales } = await import('./zod-locales-plugin.mjs');
  return {
    absWorkingDir: root,
    bundle: true,
    platform: 'node',
    target: 'node24',
    // Node 24 has it, and what esbuild makes of it is wrong in a loop: a round that ends well throws what an earlier one threw.
    supported: { using: true },
    minify: true,
    keepNames: true,
    legalComments: 'none',
    define: { SIMPLE_CI_BUILD: JSON.stringify(info) },
    metafile: true,
    logLevel: 'warning',
    plugins: [etcd3Proto(), zodLocales()],
  };
}

/**
 * What a build is made from: the release, the commit and its date, and whether files differ from it. No time of the build: two
 * builds of a commit are to be the same. Outside a checkout the commit is null.
 */
export async function buildInfo() {
  const { version } = JSON.parse(await readFile(`${root}package.json`, 'utf8'));
  const git = async (...args) => (await execute('git', args, { cwd: root })).stdout.trim();
  try {
    const [commit, seconds] = (await git('log', '-1', '--format=%H %ct')).split(' ');
    const modified = (await git('status', '--porcelain')) !== '';
    return { version, commit, built: new Date(Number(seconds) * 1000).toISOString(), modified };
  } catch {
    return { version, commit: null, built: null, modified: null };
  }
}
