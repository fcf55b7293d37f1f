// Bundles the program into one file, dist/simple-ci.cjs, which runs on the pinned Node or any later one.
import { chmod, mkdir, rename, stat, writeFile } from 'node:fs/promises';
import { dirname, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { deflateRawSync } from 'node:zlib';
import { buildInfo, bundleOptions, NODE_FLAGS } from './bundle-options.mjs';
import { splitProgram } from './split-program.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
export const bundle = `${root}dist/simple-ci.cjs`;

/** How many this process has begun: two may go on at once. */
let builds = 0;

/** Builds and returns the size of the bundle in bytes. Tests put another one elsewhere, with plugins that change the program. */
export async function build({ log = () => {}, outfile = bundle, plugins = [] } = {}) {
  // Imported here, so that a program may import this file before the dependencies are installed.
  const { build: esbuild } = await import('esbuild');
  await mkdir(`${root}dist`, { recursive: true });
  const started = Date.now();
  const info = await buildInfo();
  const { parts, metafile } = await splitProgram(info, plugins);
  // Built beside and renamed: whoever runs the bundle meanwhile, or builds it too, sees a whole one.
  const unfinished = `${dirname(outfile)}/.simple-ci.${process.pid}-${++builds}.cjs`;
  const options = { ...(await bundleOptions(info)), format: 'cjs', write: false };
  const bundled = async file => (await esbuild({ ...options, entryPoints: [file] })).outputFiles[0].text;
  const start = await bundled('scripts/bundle-start.cjs');
  const packed = pack([['start.cjs', start], ...[...parts].map(([name, text]) => [`./${name}`, text])]);
  const shebang = `#!/usr/bin/env -S node ${NODE_FLAGS.join(' ')}`;
  await writeFile(unfinished, `${shebang}\n${await bundled('scripts/bundle-open.cjs')}//${packed}`);
  if (outfile === bundle) await writeFile(`${root}dist/meta.json`, JSON.stringify(metafile));
  await chmod(unfinished, 0o755);
  await rename(unfinished, outfile);
  const { size } = await stat(outfile);
  log(`Built ${relative(root, outfile)}: ${(size / 1e6).toFixed(1)} MB in ${Date.now() - started} ms`);
  return size;
}

/** Parts as bundle-open.cjs reads them: small, in one line of characters that need no escape. */
function pack(parts) {
  return parts.map(([name, text]) => `${name}:${deflateRawSync(text, { level: 9 }).toString('base64')} `).join('');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await build({ log: console.log });
