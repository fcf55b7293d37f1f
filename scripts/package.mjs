// `npm run package`: builds everything and makes dist/simple-ci.vsix, the extension as it is installed.
import { stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from './build.mjs';
import { buildExtension } from './build-extension.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
export const vsix = `${root}dist/simple-ci.vsix`;

/** Returns the size of the package in bytes. */
export async function makePackage({ log = () => {}, isBuilt = false } = {}) {
  const { createVSIX } = await import('@vscode/vsce');
  if (!isBuilt) await build({ log });
  await buildExtension({ log });
  // Everything is bundled; what is shipped is the whitelist of .vscodeignore.
  await createVSIX({
    cwd: root,
    packagePath: vsix,
    dependencies: false,
    allowMissingRepository: true,
    readmePath: 'docs/vscode.md',
    baseContentUrl: 'https://example.com/simple-ci/docs',
    baseImagesUrl: 'https://example.com/simple-ci/docs',
  });
  const { size } = await stat(vsix);
  log(`Packed dist/simple-ci.vsix: ${(size / 1e6).toFixed(2)} MB`);
  return size;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await makePackage({ log: console.log });
