import assert from 'node:assert/strict';
import { test } from 'node:test';
import { COMMANDS } from '../../node-runtime/cli/command-table.ts';
import { formatHelp } from '../../node-runtime/cli/help.ts';
import { parseCommandLine } from '../../node-runtime/cli/parse-command-line.ts';
import { makeStyle } from '../../node-runtime/cli/style.ts';

const layout = { style: makeStyle(false), width: 80, program: 'simple-ci' };
const visible = COMMANDS.filter(command => !command.hidden);

/** What the design promises by name. */
const PROMISED =
  'node run submit tasks task logs cancel retry artifacts nodes top token secret login doctor version completion'.split(
    ' ',
  );

test('every promised command is there', () => {
  const words = new Set(visible.map(command => command.name.split(' ')[0]));
  assert.deepEqual(
    PROMISED.filter(name => !words.has(name)),
    [],
  );
});

for (const command of visible) {
  test(`${command.name}: help fits 80 columns and has an example and --json`, () => {
    const text = formatHelp(command.name, COMMANDS, layout);
    assert.match(text, /--json/);
    assert.match(text, new RegExp(`simple-ci ${command.name}`));
    const isProse = (line: string) => !/^ {2}simple-ci /.test(line);
    assert.deepEqual(
      text.split('\n').filter(line => isProse(line) && line.length > 80),
      [],
    );
  });

  test(`${command.name}: its examples are lines that it understands`, () => {
    assert.ok(command.examples.length > 0);
    for (const { line } of command.examples) {
      const argv = line.split(/ [|><&]/)[0]!.split(' ');
      const parsed = parseCommandLine(argv, COMMANDS, {});
      assert.equal(parsed.kind === 'command' && parsed.command.name, command.name, line);
    }
  });

  test(`${command.name}: a variable has its option's name`, () => {
    for (const [name, { env }] of Object.entries(command.options)) {
      if (env) assert.equal(env, `SIMPLE_CI_${name.toUpperCase().replaceAll('-', '_')}`);
    }
  });
}
