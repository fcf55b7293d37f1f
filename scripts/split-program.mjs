import { basename } from 'node:path';
import { bundleOptions } from './bundle-options.mjs';

/**
 * The program as the bundle and the executable hold it: one part for each module that is imported when it is needed, and for what
 * several of them share. esbuild splits ES modules only, so each part becomes a module of CommonJS after that, in ASCII.
 * It begins with main.js. Plugins change the program on its way.
 */
export async function splitProgram(info, plugins = []) {
  const { build, transform } = await import('esbuild');
  const options = await bundleOptions(info);
  const { outputFiles, metafile } = await build({
    ...options,
    plugins: [...options.plugins, ...plugins],
    entryPoints: ['node-runtime/main.ts'],
    outdir: 'dist/parts',
    format: 'esm',
    splitting: true,
    // The AWS SDK as ES modules: see checkLateImports.
    mainFields: ['module', 'main'],
    write: false,
  });
  checkLateImports(metafile);
  const parts = await Promise.all(
    outputFiles.map(async ({ path, text }) => {
      const { code } = await transform(text, {
        format: 'cjs',
        platform: 'node',
        target: 'node24',
        // `import()` would look for a file: it becomes a `require` that is called later.
        supported: { using: true, 'dynamic-import': false },
        minify: true,
        charset: 'ascii',
      });
      return [basename(path), code];
    }),
  );
  return { parts: new Map(parts), metafile };
}

/** Of a CommonJS module that is imported late, esbuild leaves nothing but `default` when it splits, and says nothing of it. */
function checkLateImports({ outputs }) {
  for (const { entryPoint = '', exports } of Object.values(outputs))
    if (entryPoint.includes('node_modules/') && exports.join() === 'default')
      throw new Error(
        `Cannot split the program as ${entryPoint} is CommonJS and imported late: its names would be lost`,
      );
}
