import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';

/** One place of one file of the product, and what stands there instead in this process. */
export interface Patch {
  /** From the root of the repository. */
  readonly file: string;
  /** Must be there exactly once: a patch that does not fit any more fails when it is put in. */
  readonly find: string;
  readonly replace: string;
}

const root = new URL('../../', import.meta.url);

/**
 * What keeps a simulation from being one: threads finish in any order, and files are read by threads. The code around it is the
 * product's. Blocks of a log are small, so that a few kilobytes fill some, and so is what a node keeps in mind of the queue: dozens of
 * tasks are a long one.
 */
const FOR_SIMULATION: readonly Patch[] = [
  ...(
    [
      ['queue-window.ts', 'const MOST_TASKS = 512;', 'const MOST_TASKS = 20;'],
      ['queue-reader.ts', 'const PAGE = 500;', 'const PAGE = 20;'],
      ['queue-view.ts', 'const REFILL_BELOW = 64;', 'const REFILL_BELOW = 5;'],
      ['queue-view.ts', 'const ROOMY_TASKS = 128;', 'const ROOMY_TASKS = 16;'],
      ['queue-rivals.ts', 'const SEEN_TASKS = 64;', 'const SEEN_TASKS = 8;'],
      ['queue-stretches.ts', 'const STRETCH_KEYS = 64;', 'const STRETCH_KEYS = 12;'],
      ['queue-stretches.ts', 'const STRETCH_FREE = 8;', 'const STRETCH_FREE = 3;'],
      ['queue-stretches.ts', 'const LEAST_FREE = 64;', 'const LEAST_FREE = 8;'],
    ] as const
  ).map(([file, find, replace]) => ({ file: `node-runtime/queue/${file}`, find, replace })),
  {
    file: 'node-runtime/logs/log-codec.ts',
    find: 'const SYNCHRONOUS_BYTES = 16_384;',
    replace: 'const SYNCHRONOUS_BYTES = Number.POSITIVE_INFINITY;',
  },
  ...['collect-artifacts.ts', 'workspace-files.ts'].map(name => ({
    file: `node-runtime/runner/${name}`,
    find: "from 'node:fs/promises';",
    replace: "from '../../test/simulation/model-files.ts';",
  })),
  {
    file: 'shared/log-piece.ts',
    find: 'export const LOG_BLOCK_BYTES = 1_048_576;',
    replace: 'export const LOG_BLOCK_BYTES = 16_384;',
  },
  {
    file: 'node-runtime/logs/log-writer.ts',
    find: 'const INLINE_BYTES = 65_536;',
    replace: 'const INLINE_BYTES = 2_048;',
  },
];

/** Puts patches into the source of modules that are loaded from now on. To be called before any of them is. */
export function patchSources(more: readonly Patch[] = []): void {
  const patched = new Map<string, string>();
  for (const { file, find, replace } of [...FOR_SIMULATION, ...more]) {
    const url = new URL(file, root).href;
    const text = patched.get(url) ?? readFileSync(fileURLToPath(url), 'utf8');
    const parts = text.split(find);
    if (parts.length !== 2)
      throw new Error(`Cannot patch ${file} as this is there ${parts.length - 1} times, not once: ${find}`);
    patched.set(url, parts.join(replace));
  }
  registerHooks({
    load(url, context, nextLoad) {
      const source = patched.get(url);
      if (source === undefined) return nextLoad(url, context);
      return { ...nextLoad(url, context), source };
    },
  });
}
