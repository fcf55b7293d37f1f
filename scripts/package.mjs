// `npm run package`: builds everything and makes dist/simple-ci.vsix, the extension as it is installed.
import { stat, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from './build.mjs';
import { buildExtension } from './build-extension.mjs';
import { run } from './checks.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
export const vsix = `${root}dist/simple-ci.vsix`;
/** The sizes of what was built, in bytes. */
export const sizesFile = `${root}dist/sizes.json`;

/**
 * The page that the marketplace shows has its pictures and links in the package. Everything is bundled, so there are no dependencies; what is
 * shipped is the whitelist of .vscodeignore.
 */
const VSCE = [
  `${root}node_modules/.bin/vsce`,
  'package',
  '--no-dependencies',
  '--allow-missing-repository',
  ...['--readme-path', 'MARKETPLACE.md'],
  '--no-rewrite-relative-links',
  ...['--out', vsix],
];

/** @param isBuilt whether dist/simple-ci.cjs is there already */
export async function makePackage({ log = () => {}, isBuilt = false } = {}) {
  if (!isBuilt) await build({ log });
  const sizes = await buildExtension({ log });
  const { code, output } = await run(VSCE);
  if (code !== 0) throw new Error(`vsce ended with ${code}:\n${output}`);
  const { size } = await stat(vsix);
  await writeFile(sizesFile, JSON.stringify({ ...sizes, package: size }));
  log(`Packed dist/simple-ci.vsix: ${(size / 1e6).toFixed(2)} MB`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await makePackage({ log: console.log });
