// biome-ignore-all lint/suspicious/noTemplateCurlyInString: so look the variables of VS Code
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { taskOfCommand } from '../../node-runtime/workspace/command-task.ts';
import { findTask, listTasks } from '../../node-runtime/workspace/find-task.ts';
import { findWorkspace } from '../../node-runtime/workspace/find-workspace.ts';
import { makeTargets } from '../../node-runtime/workspace/make-tasks.ts';
import { taskFileWarnings } from '../../node-runtime/workspace/task-file-tasks.ts';
import { isCiError } from '../../shared/errors.ts';
import type { TaskBody } from '../../shared/task.ts';
import { GitWorkspace } from '../support/git-workspace.ts';

async function taskOf(user: GitWorkspace, name: string, folder = ''): Promise<TaskBody> {
  return findTask(await findWorkspace(join(user.root, folder)), name);
}

function fails(code: 'invalid' | 'not-found', message: RegExp) {
  return (error: unknown) => isCiError(error, code) && message.test(error.message);
}

/** Runs the only step of a task as a node would, and gives what it printed. */
function output(task: TaskBody, cwd: string, env: Record<string, string> = {}): string {
  const [step] = task.steps;
  const shell = step!.shell === 'sh' ? ['sh'] : ['bash', '--noprofile', '--norc'];
  const variables = { PATH: process.env.PATH ?? '/usr/bin:/bin', ...task.env, ...step!.env, ...env };
  return execFileSync(shell[0]!, [...shell.slice(1), '-ec', step!.run], { cwd, env: variables, encoding: 'utf8' });
}

describe('a task by its name', () => {
  test('is the one of the task file, before a script, a target and VS Code’s', async () => {
    using user = new GitWorkspace();
    user.write('simple-ci.yaml', 'tasks: {a: from task file}\n');
    user.write('package.json', JSON.stringify({ scripts: { a: 'x', b: 'x' } }));
    user.write('Makefile', 'a b c:\n\tx\n');
    user.write(
      '.vscode/tasks.json',
      JSON.stringify({ tasks: ['a', 'b', 'c', 'd'].map(label => ({ label, type: 'shell', command: 'x' })) }),
    );
    const listed = await listTasks(await findWorkspace(user.root));
    assert.deepEqual(
      listed.map(({ name, from }) => `${name} ${from}`),
      ['a simple-ci.yaml', 'b package.json', 'c Makefile', 'd .vscode/tasks.json'],
    );
    assert.equal((await taskOf(user, 'a')).steps[0]!.run, 'from task file');
    assert.equal((await taskOf(user, 'b')).steps[0]!.run, 'npm run b');
    assert.equal((await taskOf(user, 'c')).steps[0]!.run, 'make c');
  });

  test('that is unknown is told with all there are, and the one that was meant', async () => {
    using user = new GitWorkspace();
    user.write('simple-ci.yaml', 'tasks: {build: a, test: b}\n');
    await assert.rejects(taskOf(user, 'tset'), fails('not-found', /"tset".*build, test.*did you mean "test"\?/));
    using empty = new GitWorkspace();
    await assert.rejects(taskOf(empty, 'test'), fails('not-found', /there are no tasks/));
  });

  test('in a task file with mistakes is none, and every mistake is told', async () => {
    using user = new GitWorkspace();
    user.write('simple-ci.yaml', 'tasks:\n  a: 1\n  b: 2\n');
    await assert.rejects(taskOf(user, 'a'), fails('invalid', /simple-ci\.yaml:2:6: [\s\S]*simple-ci\.yaml:3:6: /));
    user.write('simple-ci.yaml', 'tasks:\n  a: {run: x, timout: 3s}\n');
    const warnings = await taskFileWarnings(await findWorkspace(user.root));
    assert.deepEqual(warnings, ['simple-ci.yaml:2:15: tasks.a.timout is not known, did you mean "timeout"?']);
  });

  test('in a task file that is no file is none, and a named pipe is not waited for', async () => {
    using user = new GitWorkspace();
    execFileSync('mkfifo', [join(user.root, 'simple-ci.yaml')]);
    await assert.rejects(taskOf(user, 'a'), fails('invalid', /^Cannot use simple-ci\.yaml as it is no file$/));
  });

  test('is an npm script, run by the package manager of the project', async () => {
    using user = new GitWorkspace();
    const scripts = { 'build:all': 'x', "it's": 'x' };
    user.write('package.json', JSON.stringify({ scripts }));
    assert.equal((await taskOf(user, 'build:all')).steps[0]!.run, 'npm run build:all');
    assert.equal((await taskOf(user, "it's")).steps[0]!.run, "npm run 'it'\\''s'");
    user.write('pnpm-lock.yaml');
    assert.equal((await taskOf(user, 'build:all')).steps[0]!.run, 'pnpm run build:all');
    user.write('package.json', JSON.stringify({ scripts, packageManager: 'yarn@4.1.0' }));
    assert.equal((await taskOf(user, 'build:all')).steps[0]!.run, 'yarn run build:all');
    user.write('package.json', '{');
    await assert.rejects(taskOf(user, 'build:all'), fails('invalid', /"package\.json" as it is no JSON/));
  });

  test('is looked for where the user is first, and runs there', async () => {
    using user = GitWorkspace.repository();
    user.write('package.json', JSON.stringify({ scripts: { test: 'x' } }));
    user.write('packages/app/package.json', JSON.stringify({ scripts: { test: 'y' } }));
    user.write('packages/app/src/x');
    assert.equal((await taskOf(user, 'test')).workingDirectory, undefined);
    assert.equal((await taskOf(user, 'test', 'packages/app/src')).workingDirectory, 'packages/app');
  });

  test('is a plain target of a Makefile', () => {
    const text = `
CC := gcc
VERSION = 1
.PHONY: all test
export PATH := x
all: build test ## Everything
build: main.o \\
  other.o
	$(CC) -o x
test:: ; run: it
%.o: %.c
	cc
$(OUT)/x: y
a/b.txt c-d: deps # no description
build: CFLAGS = -g
define recipe
inside: not a target
endef
url := http://x
ifeq (a,b)
conditional:
endif
`;
    assert.deepEqual(Object.fromEntries(makeTargets(text)), {
      all: 'Everything',
      build: '',
      test: '',
      'a/b.txt': '',
      'c-d': '',
      conditional: '',
    });
  });
});

describe('a task of .vscode/tasks.json', () => {
  async function vscodeTask(user: GitWorkspace, task: object, name = 'x'): Promise<TaskBody> {
    user.write('.vscode/tasks.json', JSON.stringify({ version: '2.0.0', tasks: [{ label: 'x', ...task }] }));
    return taskOf(user, name);
  }

  test('may stand among comments and trailing commas', async () => {
    using user = new GitWorkspace();
    user.write(
      '.vscode/tasks.json',
      '\uFEFF{ // c\n "tasks": [ /* , */ {"label": "a // b", "type": "shell", "command": "echo \\"/*x*/\\",]", }, ], }',
    );
    assert.equal((await taskOf(user, 'a // b')).steps[0]!.run, 'echo "/*x*/",]');
  });

  test('passes the arguments of a process as they are', async () => {
    using user = new GitWorkspace();
    const args = ['%s|', '$HOME', 'a b', "it's", '*', '', '${workspaceFolder}/x y'];
    const task = await vscodeTask(user, { type: 'process', command: 'printf', args });
    assert.equal(output(task, user.root, { SIMPLE_CI_WORKSPACE: '/w s' }), "$HOME|a b|it's|*||/w s/x y|");
  });

  test('quotes the arguments of a shell as VS Code does', async () => {
    using user = new GitWorkspace();
    const args = [
      { value: '%s|', quoting: 'strong' },
      '$A',
      'a b',
      { value: '$A b', quoting: 'weak' },
      { value: '$A', quoting: 'strong' },
      { value: 'c d', quoting: 'escape' },
    ];
    const task = await vscodeTask(user, { type: 'shell', command: 'printf', args });
    assert.equal(output(task, user.root, { A: '1' }), '1|a b|1 b|$A|c d|');
  });

  test('has its folder and variables', async () => {
    using user = new GitWorkspace();
    const options = { cwd: '${workspaceFolder}/sub', env: { PLAIN: 'a $b', PLACE: '${workspaceFolder}/bin' } };
    const task = await vscodeTask(user, { type: 'shell', command: 'echo "$PLAIN $PLACE ${workspaceFolder}"', options });
    assert.equal(task.steps[0]!.workingDirectory, 'sub');
    assert.equal(output(task, user.root, { SIMPLE_CI_WORKSPACE: '/w' }), 'a $b /w/bin /w\n');
  });

  test('runs what it depends on first', async () => {
    using user = new GitWorkspace();
    const tasks = [
      { label: 'a', command: 'one' },
      { label: 'b', command: 'two', dependsOn: 'a' },
      { label: 'all', dependsOn: ['b', 'npm: lint'] },
      { type: 'npm', script: 'lint', path: 'web' },
      { label: 'loop', command: 'x', dependsOn: ['loop'] },
    ];
    user.write('.vscode/tasks.json', JSON.stringify({ tasks }));
    const { steps } = await taskOf(user, 'all');
    assert.deepEqual(
      steps.map(({ run, workingDirectory }) => `${run} ${workingDirectory ?? ''}`.trim()),
      ['one', 'two', 'npm run lint web'],
    );
    await assert.rejects(taskOf(user, 'loop'), fails('invalid', /depends on itself/));
  });

  test('of the extension of Simple CI is none: it is a way to one', async () => {
    using user = new GitWorkspace();
    const tasks = [
      { label: 'remote', type: 'simple-ci', task: 'local' },
      { label: 'local', type: 'shell', command: 'true' },
    ];
    user.write('.vscode/tasks.json', JSON.stringify({ version: '2.0.0', tasks }));
    const found = await listTasks(await findWorkspace(user.root));
    assert.deepEqual(
      found.map(({ name }) => name),
      ['local'],
    );
  });

  test('that cannot run without VS Code says why', async () => {
    using user = new GitWorkspace();
    const refused: readonly [object, RegExp][] = [
      [{ type: 'shell', command: 'x ${file}' }, /\$\{file\}/],
      [{ type: 'shell', command: 'x', args: ['${input:name}'] }, /\$\{input:name\}/],
      [{ type: 'shell', command: 'x', options: { env: { A: '${env:HOME}' } } }, /\$\{env:HOME\}/],
      [{ type: 'gulp', task: 'x' }, /its type belongs to an extension.*gulp/],
      [{ type: 'shell', command: 'x', options: { cwd: '/etc' } }, /not inside the workspace/],
      [{ type: 'shell', command: 'x', options: { cwd: '${workspaceFolder}/../x' } }, /not inside the workspace/],
      [{ type: 'shell', command: 'x', options: { shell: { executable: '/usr/bin/fish' } } }, /neither bash nor sh/],
      [{ type: 'shell', command: 7 }, /no text/],
      [{ type: 'shell', command: 'x', dependsOn: { type: 'npm' } }, /of an extension/],
      [{ type: 'shell', command: 'x', dependsOn: 'nowhere' }, /does not exist: "nowhere"/],
    ];
    for (const [task, message] of refused) await assert.rejects(vscodeTask(user, task), fails('invalid', message));
  });
});

describe('the task of a command', () => {
  test('gives every argument to the program byte for byte', () => {
    const args = [
      'a b',
      "it's",
      '"',
      '$HOME',
      '`x`',
      '\\',
      '*',
      '',
      'new\nline',
      '~',
      '#',
      '!',
      '-n',
      'ü',
      ';',
      '&&',
      '{a,b}',
      'A=b',
    ];
    const task = taskOfCommand([
      process.execPath,
      '-e',
      'console.log(JSON.stringify(process.argv.slice(1)))',
      '--',
      ...args,
    ]);
    assert.deepEqual(JSON.parse(output(task, '/')), args);
  });

  test('runs where it was typed, and has a name that fits on a line', () => {
    const task = taskOfCommand(['echo', 'a\nb', 'x'.repeat(300)], 'sub/folder');
    assert.equal(task.workingDirectory, 'sub/folder');
    assert.match(task.name, /^echo a b x+…$/);
    assert.throws(() => taskOfCommand([]), fails('invalid', /none after --/));
  });

  test('that is a script for a shell is called by the script', () => {
    const task = taskOfCommand(['sh', '-c', 'make && make test']);
    assert.deepEqual([task.name, task.steps[0]?.name], ['make && make test', 'make && make test']);
  });

  test('may begin with what a shell would take for a variable', () => {
    using user = new GitWorkspace();
    user.write('A=b', '#!/bin/sh\necho "ran $1"\n');
    chmodSync(join(user.root, 'A=b'), 0o755);
    assert.equal(output(taskOfCommand(['A=b', 'c']), user.root, { PATH: `${user.root}:/usr/bin:/bin` }), 'ran c\n');
  });
});

describe('a workspace', () => {
  test('is the nearest folder with a task file, else the top of the repository, else the folder', async () => {
    using user = new GitWorkspace();
    const rootOf = async (folder: string) => {
      const { root, subdirectory, taskFile } = await findWorkspace(join(user.root, folder));
      return [root.slice(user.root.length), subdirectory, taskFile?.slice(user.root.length)];
    };
    mkdirSync(join(user.root, 'plain/deep'), { recursive: true });
    assert.deepEqual(await rootOf('plain/deep'), ['/plain/deep', '', undefined]);
    user.write('plain/simple-ci.json', '{}');
    assert.deepEqual(await rootOf('plain/deep'), ['/plain', 'deep', '/plain/simple-ci.json']);
    mkdirSync(join(user.root, 'repository/a/b'), { recursive: true });
    user.gitIn(join(user.root, 'repository'), 'init', '--quiet');
    assert.deepEqual(await rootOf('repository/a/b'), ['/repository', 'a/b', undefined]);
    user.write('repository/a/simple-ci.yml', '');
    assert.deepEqual(await rootOf('repository/a/b'), ['/repository/a', 'b', '/repository/a/simple-ci.yml']);
  });

  test('of a repository is not a folder above it', async () => {
    using user = new GitWorkspace();
    user.write('simple-ci.yaml', '');
    mkdirSync(join(user.root, 'repository'));
    user.gitIn(join(user.root, 'repository'), 'init', '--quiet');
    assert.equal((await findWorkspace(join(user.root, 'repository'))).taskFile, undefined);
  });

  test('is found from within a submodule or a clone that lies in it', async () => {
    using user = GitWorkspace.repository();
    user.write('simple-ci.yaml', '');
    mkdirSync(join(user.root, 'inner/deep'), { recursive: true });
    user.gitIn(join(user.root, 'inner'), 'init', '--quiet');
    const { root, subdirectory, git } = await findWorkspace(join(user.root, 'inner/deep'));
    assert.deepEqual([root, subdirectory, git?.toplevel], [user.root, 'inner/deep', user.root]);
  });

  test('that does not exist is said not to', async () => {
    await assert.rejects(findWorkspace('/no/such/folder'), fails('not-found', /no such folder: "\/no\/such\/folder"/));
    await assert.rejects(findWorkspace(import.meta.filename), fails('not-found', /a file, not a folder/));
  });
});
