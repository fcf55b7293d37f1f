import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import type { HostResult } from '../vscode/in-host/run.ts';

export const root = fileURLToPath(new URL('../..', import.meta.url));

const execute = promisify(execFile);

/** The branch that is checked out in the workspace. */
export const HOST_BRANCH = 'topic';

/** The workspace that the tests inside the extension host find. */
export const HOST_WORKSPACE: Readonly<Record<string, string>> = {
  'simple-ci.yaml': `tasks:
  keep:
    run: echo kept > kept.txt
    artifacts: [kept.txt]
  break:
    run: |
      echo 'main.c:2:5: warning: odd number'
      exit 5
`,
  '.vscode/tasks.json': JSON.stringify({
    version: '2.0.0',
    tasks: [
      {
        label: 'absolute',
        type: 'simple-ci',
        command: 'echo "FOUND $PWD/main.c LINE 2 TEXT by its absolute path"',
        problemMatcher: {
          owner: 'found',
          fileLocation: 'absolute',
          pattern: { regexp: '^FOUND (.+) LINE (\\d+) TEXT (.*)$', file: 1, line: 2, message: 3 },
        },
      },
      { label: 'dependent', type: 'simple-ci', command: 'echo after that', dependsOn: 'absolute' },
      { label: 'fails', type: 'simple-ci', command: 'exit 3', problemMatcher: [] },
      { label: 'never', type: 'simple-ci', command: 'echo never', dependsOn: 'fails' },
      {
        label: 'lint',
        type: 'shell',
        command:
          "echo 'LINT main.c 1:5 too odd'; echo 'main.c(2,3): error TS9: as tsc would'; echo 'RULE main.c 3 last'",
        problemMatcher: [
          {
            owner: 'lint',
            severity: 'warning',
            pattern: { regexp: '^LINT (\\S+) (\\d+):(\\d+) (.*)$', file: 1, line: 2, column: 3, message: 4 },
          },
          '$nobody-has-it',
        ],
      },
    ],
  }),
  'program.js': 'setTimeout(() => {}, 10);\n',
  'main.c': 'int main(void) {\n  return 3;\n}\n',
};

/** Makes a repository of the workspace, with everything in it committed on this branch. */
export async function commitWorkspace(folder: string, branch: string): Promise<void> {
  const who = ['-c', 'user.name=Test', '-c', 'user.email=test@example.com'];
  for (const words of [
    ['init', '-q', '-b', branch],
    ['add', '-A'],
    [...who, 'commit', '-q', '-m', 'All'],
  ])
    await execute('git', words, { cwd: folder });
}

/** Bundles the tests; returns the file that VS Code is to load. */
export async function buildHostSuite(): Promise<string> {
  const outfile = join(root, 'dist/in-host/run.cjs');
  await build({
    absWorkingDir: root,
    entryPoints: ['test/vscode/in-host/run.ts'],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node22',
    format: 'cjs',
    external: ['vscode'],
    logLevel: 'warning',
  });
  return outfile;
}

export async function writeWorkspace(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const [name, text] of Object.entries(HOST_WORKSPACE)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
  await commitWorkspace(folder, HOST_BRANCH);
}

/** What the tests have left: a file that is missing, not whole or empty is a failure, whatever VS Code said. */
export async function readHostResults(file: string): Promise<readonly HostResult[]> {
  const { isWhole, results } = JSON.parse(await readFile(file, 'utf8')) as { isWhole: boolean; results: HostResult[] };
  if (!isWhole || results.length === 0) throw new Error(`The extension host ended after ${results.length} tests`);
  return results;
}
