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
  await esbuild({
    ...(await bundleOptions(info)),
    format: 'cjs',
    entryPoints: ['scripts/bundle-start.cjs'],
    outfile: unfinished,
    banner: { js: `#!/usr/bin/env -S node ${NODE_FLAGS.join(' ')}` },
    plugins: [jsonModule('simple-ci:parts', pack(parts))],
  });
  if (outfile === bundle) await writeFile(`${root}dist/meta.json`, JSON.stringify(metafile));
  await chmod(unfinished, 0o755);
  await rename(unfinished, outfile);
  const { size } = await stat(outfile);
  log(`Built ${relative(root, outfile)}: ${(size / 1e6).toFixed(1)} MB in ${Date.now() - started} ms`);
  return size;
}

/** Each part as the bundle holds it, by the name others call it by: small, and in characters that need no escape. */
function pack(parts) {
  const entries = [...parts].map(([name, text]) => [
    `./${name}`,
    deflateRawSync(text, { level: 9 }).toString('base64'),
  ]);
  return JSON.stringify(Object.fromEntries(entries));
}

/** An esbuild plugin: a module of that name that is JSON. */
function jsonModule(name, contents) {
  return {
    name: 'json-module',
    setup(build) {
      build.onResolve({ filter: /:/ }, ({ path }) => (path === name ? { path, namespace: 'json' } : undefined));
      build.onLoad({ filter: /./, namespace: 'json' }, () => ({ contents, loader: 'json' }));
    },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await build({ log: console.log });
