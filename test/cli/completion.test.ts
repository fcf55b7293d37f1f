import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { COMMANDS } from '../../node-runtime/cli/command-table.ts';
import { completionScript, type Shell } from '../../node-runtime/cli/completion.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

/** What bash would offer after these words. */
function offered(...words: string[]): string[] {
  const script = `${completionScript('bash', COMMANDS)}
    COMP_WORDS=(${['simple-ci', ...words].map(word => `'${word}'`).join(' ')})
    COMP_CWORD=${words.length}
    _simple_ci
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, status, stderr } = spawnSync('bash', ['-c', script], { encoding: 'utf8', cwd: '/' });
  assert.equal(status, 0, stderr);
  return stdout.split('\n').filter(line => line !== '');
}

test('bash offers commands, the second words of commands of two, and options', () => {
  assert.deepEqual(offered('tas'), ['tasks', 'task']);
  assert.deepEqual(offered('token', 'c'), ['create']);
  assert.deepEqual(offered('logs', '--fo'), ['--follow']);
  assert.deepEqual(offered('token', 'create', 'me', '--ex'), ['--expires']);
});

test('bash offers the values of an option that has few', () => {
  assert.deepEqual(offered('tasks', '--state', ''), ['queued', 'running', 'finished']);
});

test('bash offers the commands that help is about', () => {
  assert.deepEqual(offered('help', 'to'), ['top', 'token']);
});

test('bash does not take a command for the beginning of another', () => {
  assert.ok(offered('task', '--').includes('--json'));
  assert.ok(!offered('task', '--').includes('--watch'));
});

for (const shell of ['bash', 'zsh', 'fish'] satisfies Shell[]) {
  const { error } = spawnSync(shell, ['-c', 'true']);
  test(`${shell} accepts its script`, { skip: error ? `${shell} is not installed` : false }, async () => {
    await using folder = await temporaryFolder();
    const file = join(folder.path, 'script');
    await writeFile(file, completionScript(shell, COMMANDS));
    const { status, stderr } = spawnSync(shell, ['-n', file], { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
  });

  test(`the script for ${shell} knows every command`, () => {
    const script = completionScript(shell, COMMANDS);
    for (const { name, hidden } of COMMANDS) if (!hidden) assert.ok(script.includes(name.split(' ').at(-1)!), name);
  });
}
