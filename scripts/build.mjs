// Bundles the node binary into one file, dist/simple-ci.cjs, which runs on the pinned Node or any later one.
import { chmod, mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
export const bundle = `${root}dist/simple-ci.cjs`;

/** Builds and returns the size of the bundle in bytes. */
export async function build({ log = () => {} } = {}) {
  // Imported here, so that a program may import this file before the dependencies are installed.
  const { build: esbuild } = await import('esbuild');
  const { etcd3Proto } = await import('./etcd3-proto-plugin.mjs');
  const { version } = JSON.parse(await readFile(`${root}package.json`, 'utf8'));
  await mkdir(`${root}dist`, { recursive: true });
  const started = Date.now();
  // Built beside and renamed: whoever runs the bundle meanwhile, or builds it too, sees a whole one.
  const unfinished = `dist/.simple-ci.${process.pid}.cjs`;
  const result = await esbuild({
    absWorkingDir: root,
    entryPoints: ['node-runtime/main.ts'],
    outfile: unfinished,
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'cjs',
    minify: true,
    keepNames: true,
    legalComments: 'none',
    banner: { js: '#!/usr/bin/env node' },
    define: { 'import.meta.url': '__bundleUrl', SIMPLE_CI_VERSION: JSON.stringify(version) },
    inject: [`${root}scripts/bundle-url.cjs`],
    plugins: [etcd3Proto()],
    metafile: true,
    logLevel: 'warning',
  });
  await writeFile(`${root}dist/meta.json`, JSON.stringify(result.metafile));
  await chmod(`${root}${unfinished}`, 0o755);
  await rename(`${root}${unfinished}`, bundle);
  const { size } = await stat(bundle);
  log(`Built dist/simple-ci.cjs: ${(size / 1e6).toFixed(1)} MB in ${Date.now() - started} ms`);
  return size;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await build({ log: console.log });
