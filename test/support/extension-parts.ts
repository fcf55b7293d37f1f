import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Program } from '../../extension/program.ts';
import { LocalNode } from '../../extension/local-node.ts';
import { temporaryFolder } from './temporary-folder.ts';

const main = fileURLToPath(new URL('../../node-runtime/main.ts', import.meta.url));

/** A home of its own, and simple-ci from the source as the extension would call it. */
export interface Parts {
  readonly folder: string;
  readonly program: Program;
  /** A local node, ended with the test. Those of one test share their cluster. */
  node(name: string): Promise<LocalNode>;
  /** A workspace with these files. */
  workspace(files: Readonly<Record<string, string>>): Promise<string>;
}

export async function extensionParts(t: TestContext): Promise<Parts> {
  const home = await temporaryFolder();
  const stack = new AsyncDisposableStack();
  stack.use(home);
  t.after(() => stack.disposeAsync());
  const env = { PATH: process.env.PATH ?? '', HOME: home.path };
  const program = { command: process.execPath, args: [main], env };
  return {
    folder: home.path,
    program,
    node: async name => {
      const options = { program, dataFolder: join(home.path, 'data'), name, note: () => undefined };
      return stack.adopt(await LocalNode.start(options, t.signal), node => node.end());
    },
    workspace: async files => {
      const folder = join(home.path, 'ws');
      for (const [name, text] of Object.entries(files)) {
        await mkdir(dirname(join(folder, name)), { recursive: true });
        await writeFile(join(folder, name), text);
      }
      return folder;
    },
  };
}
