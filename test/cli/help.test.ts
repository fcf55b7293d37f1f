import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defineCommand } from '../../node-runtime/cli/command.ts';
import { formatHelp } from '../../node-runtime/cli/help.ts';
import { makeStyle } from '../../node-runtime/cli/style.ts';

const deploy = defineCommand({
  name: 'deploy',
  summary: 'Send it out',
  description: 'First paragraph.\n\nSecond paragraph, which is long enough that it has to be broken into two lines.',
  arguments: [{ name: 'PLACE', summary: 'Where to', optional: true }],
  rest: { name: 'COMMAND…', summary: 'What to run there' },
  options: {
    force: { kind: 'flag', short: 'f', summary: 'Do it' },
    'a-very-long-option-name': { kind: 'text', value: 'FILE', summary: 'Something', env: 'SIMPLE_CI_X' },
    speed: { kind: 'choice', choices: ['slow', 'fast'], summary: 'How', default: 'slow', value: 'SPEED' },
    json: { kind: 'flag', summary: 'Print JSON', group: 'output' },
  },
  examples: [{ what: 'The usual', line: 'deploy prod' }],
  run: async () => 0,
});
const hidden = defineCommand({
  name: 'secret-door',
  summary: 'Not for people',
  options: {},
  examples: [],
  hidden: true,
  run: async () => 0,
});

test('help of a command is complete, aligned and wrapped', () => {
  const text = formatHelp('deploy', [deploy], { style: makeStyle(false), width: 60, program: 'simple-ci' });
  assert.equal(
    text,
    `deploy: Send it out.

First paragraph.

Second paragraph, which is long enough that it has to be
broken into two lines.

Usage: simple-ci deploy [PLACE] [options] [-- COMMAND…]

Arguments:
  PLACE        Where to
  -- COMMAND…  What to run there

Options:
  -f, --force                   Do it
      --a-very-long-option-name FILE
                                Something (or $SIMPLE_CI_X)
      --speed SPEED             How (one of slow, fast;
                                default slow)

Output:
      --json  Print JSON
  -h, --help  Show this.

Examples:
  # The usual
  simple-ci deploy prod`,
  );
});

test('help has colours only where they are wanted', () => {
  const plain = formatHelp('', [deploy], { style: makeStyle(false), width: 80, program: 'simple-ci' });
  const coloured = formatHelp('', [deploy], { style: makeStyle(true), width: 80, program: 'simple-ci' });
  assert.doesNotMatch(plain, /\u001b/);
  assert.match(coloured, /\u001b\[1m/);
});

test('commands that are not for people are not shown', () => {
  const text = formatHelp('', [deploy, hidden], { style: makeStyle(false), width: 80, program: 'simple-ci' });
  assert.match(text, /deploy/);
  assert.doesNotMatch(text, /secret-door/);
});
