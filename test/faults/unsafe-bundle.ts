import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Plugin } from 'esbuild';
import { build } from '../../scripts/build.mjs';
import { temporaryFolder } from '../support/simple-ci.ts';

/** The line of COMPLETE that this is all about. */
const COMPARE = '{ key: keys.lock(claim.id), createRevision: claim.fence },';

/**
 * The same program, but for its COMPLETE, which does not compare the fence. The product has no switch for that: the source is
 * changed on its way into the bundle.
 */
export async function buildUnsafe(): Promise<{ readonly path: string } & AsyncDisposable> {
  const folder = await temporaryFolder();
  const path = join(folder.path, 'unsafe.cjs');
  const withoutFence: Plugin = {
    name: 'complete-without-fence',
    setup: ({ onLoad }) =>
      onLoad({ filter: /node-runtime\/queue\/complete\.ts$/ }, async ({ path: file }) => {
        const source = await readFile(file, 'utf8');
        const contents = source.replace(COMPARE, '');
        assert.notEqual(contents, source, `${file} does not compare the fence as it did`);
        return { contents, loader: 'ts' };
      }),
  };
  await build({ outfile: path, plugins: [withoutFence] });
  return { path, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
}
