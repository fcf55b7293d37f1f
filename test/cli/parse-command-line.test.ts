import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Command, defineCommand } from '../../node-runtime/cli/command.ts';
import { type CommandLine, parseCommandLine } from '../../node-runtime/cli/parse-command-line.ts';

const run = defineCommand({
  name: 'run',
  summary: 'Run',
  arguments: [{ name: 'NAME', summary: 'A task', optional: true }],
  rest: { name: 'COMMAND…', summary: 'What to run' },
  options: {
    env: { kind: 'list', short: 'e', summary: 'Variables' },
    timeout: { kind: 'duration', summary: 'How long', default: '1h', env: 'SIMPLE_CI_TIMEOUT' },
    dir: { kind: 'text', summary: 'Where' },
    priority: { kind: 'number', summary: 'How urgent', min: 0, max: 9 },
    state: { kind: 'choice', summary: 'Which', choices: ['queued', 'running'] },
    labels: { kind: 'list', summary: 'Which nodes', env: 'SIMPLE_CI_LABELS' },
    detach: { kind: 'flag', short: 'd', summary: 'Do not wait', env: 'SIMPLE_CI_DETACH' },
    json: { kind: 'flag', summary: 'JSON' },
  },
  examples: [],
  run: async () => 0,
});
const logs = defineCommand({
  name: 'logs',
  summary: 'Logs',
  arguments: [{ name: 'ID', summary: 'A task' }],
  options: { follow: { kind: 'flag', short: 'f', summary: 'Go on' }, raw: { kind: 'flag', summary: 'Bytes' } },
  examples: [],
  run: async () => 0,
});
const word = (name: string) =>
  defineCommand({ name, summary: name, options: {}, examples: [], run: async () => 0 }) satisfies Command;
const commands = [run, logs, word('token create'), word('token list')];

function parse(line: string, variables: Record<string, string> = {}): CommandLine {
  return parseCommandLine(line === '' ? [] : line.split(' '), commands, variables);
}

function input(line: string, variables: Record<string, string> = {}) {
  const parsed = parse(line, variables);
  assert.equal(parsed.kind, 'command');
  return parsed.input as unknown as { options: Record<string, unknown>; arguments: string[]; rest?: string[] };
}

const refusal = (line: string, message: RegExp, variables: Record<string, string> = {}) =>
  assert.throws(() => parse(line, variables), { name: 'CiError', code: 'invalid', message });

test('an option is taken from the line, else from its variable, else from its default', () => {
  assert.equal(input('run --timeout 90s', { SIMPLE_CI_TIMEOUT: '5m' }).options.timeout, 90_000);
  assert.equal(input('run', { SIMPLE_CI_TIMEOUT: '5m' }).options.timeout, 300_000);
  assert.equal(input('run').options.timeout, 3_600_000);
});

test('a variable that is empty is as if it were not set', () => {
  assert.equal(input('run', { SIMPLE_CI_TIMEOUT: '' }).options.timeout, 3_600_000);
});

test('a list is given again on the line, and separated by commas in a variable', () => {
  assert.deepEqual(input('run -e A=1 --env B=2').options.env, ['A=1', 'B=2']);
  assert.deepEqual(input('run', { SIMPLE_CI_LABELS: 'linux, x64,' }).options.labels, ['linux', 'x64']);
});

test('what follows -- belongs to somebody else, even when it looks like our options', () => {
  const { options, rest } = input('run --json -- npm test --help --json=no');
  assert.equal(options.json, true);
  assert.deepEqual(rest, ['npm', 'test', '--help', '--json=no']);
});

test('a flag in a variable is 1 or 0, and anything else is refused', () => {
  assert.equal(input('run', { SIMPLE_CI_DETACH: '1' }).options.detach, true);
  assert.equal(input('run', { SIMPLE_CI_DETACH: 'off' }).options.detach, false);
  refusal('run', /SIMPLE_CI_DETACH as it must be 1 or 0: "maybe"/, { SIMPLE_CI_DETACH: 'maybe' });
});

test('short flags may be joined', () => {
  assert.equal(input('logs 5abc -f').options.follow, true);
});

test('a command of two words is found by both', () => {
  const parsed = parse('token create');
  assert.equal(parsed.kind === 'command' && parsed.command.name, 'token create');
});

test('help is asked for in every usual way', () => {
  assert.deepEqual(parse(''), { kind: 'help', about: '' });
  assert.deepEqual(parse('--help'), { kind: 'help', about: '' });
  assert.deepEqual(parse('run -h'), { kind: 'help', about: 'run' });
  assert.deepEqual(parse('logs --help'), { kind: 'help', about: 'logs' });
  assert.deepEqual(parse('token --help'), { kind: 'help', about: 'token' });
  assert.deepEqual(parse('token create --help'), { kind: 'help', about: 'token create' });
});

test('a command that does not exist is refused with the one that was meant', () => {
  refusal('exec', /^Cannot find command "exec"; did you mean run\?$/);
  refusal('lgos', /^Cannot find command "lgos"; did you mean logs\?$/);
  refusal('token crate', /^Cannot find command "token crate"; did you mean token create\?$/);
  refusal('frobnicate', /^Cannot find command "frobnicate"$/);
});

test('half of a command of two words says what the other half may be', () => {
  refusal('token', /^Cannot run "token" alone as it is one of: token create, token list$/);
});

test('an option that does not exist is refused with the one that was meant', () => {
  refusal('logs 5abc --folow', /no option --folow; did you mean --follow\?$/);
  refusal('logs 5abc -x', /no option -x$/);
});

test('an option without its value is refused, also when the next option would be taken for it', () => {
  refusal('run --priority', /--priority needs a value$/);
  refusal('run --dir=', /--dir needs a value, and got an empty one$/);
  refusal('run --env --json', /--env needs a value: write --env=--json if that is it$/);
  assert.deepEqual(input('run --env=--json').options.env, ['--json']);
});

test('a flag with a value is refused', () => {
  refusal('run --json=yes', /--json takes no value: "yes"$/);
});

test('of an option that is given twice the last one counts, so that aliases can be overruled', () => {
  assert.equal(input('run --priority 1 --priority 2').options.priority, 2);
});

test('numbers, durations and choices are checked, with what they may be', () => {
  refusal('run --priority 10', /--priority as it must be a whole number from 0 to 9: "10"$/);
  refusal('run --priority 1.5', /from 0 to 9: "1.5"$/);
  refusal('run --timeout soon', /^Cannot use --timeout as it is not like 90s, .*"soon"\n?/);
  refusal('run --state done', /--state as it is none of queued, running: "done"$/);
});

test('a duration may be a number of seconds', () => {
  assert.equal(input('run --timeout 90').options.timeout, 90_000);
});

test('arguments that lack or are too many are refused', () => {
  refusal('logs', /^Cannot run `logs` without ID$/);
  refusal('logs a b', /^Cannot run `logs` with "b" as it takes 1 argument at most$/);
  refusal('run npm test', /takes 1 argument at most; a command goes after --$/);
  refusal('logs 5abc -- more', /with -- as nothing may follow it$/);
});

test('an option before the command is refused, as it could be anything', () => {
  refusal('--json run', /^Cannot understand "--json" as the command comes first$/);
});

test('names that every object has are no options', () => {
  refusal('run --constructor', /no option --constructor/);
});
