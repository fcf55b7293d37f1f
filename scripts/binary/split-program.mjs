import { basename } from 'node:path';
import { bundleOptions } from '../bundle-options.mjs';

/**
 * The program as the executable holds it: one part for each module that is imported when it is needed, and for what several of
 * them share. esbuild splits ES modules only, and an executable holds none, so each part becomes a function of CommonJS after that.
 */
export async function splitProgram(info) {
  const { build, transform } = await import('esbuild');
  const { outputFiles, metafile } = await build({
    ...(await bundleOptions(info)),
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
      return [basename(path), `(function(exports,require,module,__filename,__dirname){${code}\n})`];
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
