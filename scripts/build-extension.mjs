// Bundles the VS Code extension: dist/extension/extension.js, which VS Code loads, with the parts that it loads itself when they are
// needed, and dist/log-page.js and dist/task-page.js, which its pages run.
import { rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Builds; returns the sizes of what is loaded at once and of the pages, in bytes. */
export async function buildExtension({ log = () => {} } = {}) {
  // Imported here, so that a program may import this file before the dependencies are installed.
  const { build: esbuild } = await import('esbuild');
  const { zodLocales } = await import('./zod-locales-plugin.mjs');
  // Parts have names that change with their content.
  await rm(`${root}dist/extension`, { recursive: true, force: true });
  const started = Date.now();
  const options = {
    absWorkingDir: root,
    bundle: true,
    minify: true,
    legalComments: 'none',
    mainFields: ['module', 'main'],
    logLevel: 'warning',
    metafile: true,
    // Their other forms call require, which a module has not.
    alias: {
      yaml: `${root}node_modules/yaml/browser/dist/index.js`,
      '@vscode/l10n': `${root}node_modules/@vscode/l10n/dist/browser.js`,
    },
    plugins: [zodLocales()],
  };
  const [extension, pages] = await Promise.all([
    esbuild({
      ...options,
      entryPoints: ['extension/extension.ts'],
      outdir: 'dist/extension',
      chunkNames: 'part-[hash]',
      splitting: true,
      platform: 'node',
      // The oldest that a supported VS Code has.
      target: 'node22',
      format: 'esm',
      external: ['vscode'],
      keepNames: true,
    }),
    esbuild({
      ...options,
      entryPoints: ['extension/webview/log-page.ts', 'extension/webview/task-page.ts'],
      outdir: 'dist',
      platform: 'browser',
      target: 'chrome130',
      format: 'iife',
      conditions: ['production'],
    }),
  ]);
  const sizes = {
    extension: sizeOf(extension.metafile.outputs, 'dist/extension/extension.js'),
    logPage: pages.metafile.outputs['dist/log-page.js'].bytes,
    taskPage: pages.metafile.outputs['dist/task-page.js'].bytes,
  };
  const told = Object.entries(sizes).map(([name, size]) => `${name} ${Math.round(size / 1000)} KB`);
  log(`Built ${told.join(', ')} in ${Date.now() - started} ms`);
  return sizes;
}

/** A file and all that it imports at once. */
function sizeOf(outputs, name, seen = new Set()) {
  if (seen.has(name)) return 0;
  seen.add(name);
  const { bytes, imports } = outputs[name];
  const parts = imports.filter(({ kind, external }) => kind === 'import-statement' && !external);
  return parts.reduce((sum, { path }) => sum + sizeOf(outputs, path, seen), bytes);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildExtension({ log: console.log });
