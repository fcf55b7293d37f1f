import assert from 'node:assert/strict';
import { test } from 'node:test';
import { COMMANDS } from '../../node-runtime/cli/command-table.ts';
import { parseCommandLine } from '../../node-runtime/cli/parse-command-line.ts';
import { parseTaskFile } from '../../shared/task-file.ts';
import { unknownKeys } from '../../shared/task-file/unknown-keys.ts';
import { TaskSpec } from '../../shared/task.ts';
import { type CodeBlock, codeBlocks } from './documents.ts';

test('every task file in the documents is one, without a warning', () => {
  const blocks = codeBlocks().filter(({ language, text }) => language === 'yaml' && /^tasks:/m.test(text));
  assert.ok(blocks.length >= 2);
  for (const { file, text } of blocks) {
    const parsed = parseTaskFile(text, { name: 'simple-ci.yaml' });
    assert.deepEqual(parsed.ok ? parsed.warnings : parsed.problems, [], `${file}: ${text}`);
  }
});

test('every task.json in the documents is one, and has no unknown field', () => {
  const blocks = codeBlocks().filter(({ language, text }) => language === 'json' && text.includes('"steps"'));
  assert.ok(blocks.length >= 1);
  for (const { file, text } of blocks) {
    const { source, ...body } = TaskSpec.parse(JSON.parse(text));
    assert.deepEqual(unknownKeys({ tasks: { task: body } }), [], `${file}: ${JSON.stringify(source)}`);
  }
});

test('every command in the documents is understood', () => {
  const lines = codeBlocks().flatMap(commandsIn);
  assert.ok(lines.length >= 40);
  for (const { file, line } of lines) {
    const variables = { SIMPLE_CI_CLUSTER: 'acme/ci' };
    assert.doesNotThrow(() => parseCommandLine(wordsOf(line), COMMANDS, variables), `${file}: simple-ci ${line}`);
  }
});

test('every npm script in the documents exists', async () => {
  const { default: manifest } = await import('../../package.json', { with: { type: 'json' } });
  const scripts = Object.keys(manifest.scripts);
  const named = codeBlocks().flatMap(({ text }) => [...text.matchAll(/npm run ([\w:-]+)/g)].map(match => match[1]!));
  const ofOthers = ['types', 'lint'];
  assert.deepEqual(
    named.filter(name => !scripts.includes(name) && !ofOthers.includes(name)),
    [],
  );
});

/** What stands after `simple-ci` in shell blocks. Usage lines, which have [ ], are no commands. */
function commandsIn({ file, language, text }: CodeBlock): { file: string; line: string }[] {
  if (language !== 'sh') return [];
  return text
    .replaceAll('\\\n', ' ')
    .split('\n')
    .filter(line => line.startsWith('simple-ci ') && !line.includes('['))
    .map(line => ({ file, line: line.slice('simple-ci '.length) }));
}

/** The words of a simple command, up to a comment or what its output goes to. */
function wordsOf(line: string): string[] {
  const words: string[] = [];
  for (const [word] of line.matchAll(/'[^']*'|"[^"]*"|[^\s'"]+/g)) {
    if (/^(#|<|>|\||&&)/.test(word)) break;
    words.push(word.replaceAll(/['"]/g, ''));
  }
  return words;
}
