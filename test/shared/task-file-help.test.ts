import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { completeTaskFile } from '../../shared/task-file/complete-task-file.ts';
import { explainKey } from '../../shared/task-file/explain-key.ts';
import { parseTaskFile } from '../../shared/task-file.ts';

/** The place where somebody types. */
const CURSOR = '▮';

function at(text: string) {
  const offset = text.indexOf(CURSOR);
  assert.ok(offset >= 0);
  return { text: text.replace(CURSOR, ''), offset };
}

function completionsOf(marked: string) {
  const { text, offset } = at(marked);
  return completeTaskFile(text, offset);
}

function wordsOf(marked: string): string[] {
  return completionsOf(marked).map(({ word }) => word);
}

/** The text after the word was taken. */
function taken(marked: string, word: string): string {
  const { text } = at(marked);
  const completion = completionsOf(marked).find(one => one.word === word);
  assert.ok(completion, `${word} is offered`);
  return `${text.slice(0, completion.from)}${completion.insert}${text.slice(completion.to)}`;
}

function meaningOf(marked: string): string | undefined {
  const { text, offset } = at(marked);
  return explainKey(text, offset)?.text;
}

describe('while somebody types a task file, what may stand there is offered', () => {
  const TASK = ['name', 'steps', 'env', 'workingDirectory', 'timeout', 'idleTimeout', 'priority', 'labels', 'slots'];
  const STEP = ['name', 'run', 'shell', 'env', 'workingDirectory', 'timeout', 'continueOnError'];
  const without = (words: readonly string[], ...gone: string[]) => words.filter(word => !gone.includes(word));

  const places: readonly [where: string, text: string, words: readonly string[]][] = [
    ['in an empty file', '▮', ['version', 'tasks']],
    ['below all tasks', 'tasks:\n  a: x\n▮', ['version']],
    ['in a step of its own line', 'tasks:\n  a:\n    steps:\n      - name: x\n        ▮\n', without(STEP, 'name')],
    ['after a dash', 'tasks:\n  a:\n    steps:\n      - ▮', STEP],
    ['in a task that is a list of steps', 'tasks:\n  a:\n    - run: x\n      co▮', without(STEP, 'run')],
    ['within braces', 'tasks:\n  a:\n    steps: [{run: x, ▮}]', without(STEP, 'run')],
    ['for a key that has its value already', 'tasks:\n  a:\n    steps:\n      - ru▮: x', STEP],
    ['of budgets of attempts', 'tasks:\n  a:\n    attempts:\n      ▮\n  b: x\n', ['crashed', 'lost']],
    ['as a value with few possible words', 'tasks:\n  a:\n    - shell: ▮\n      run: x', ['bash', 'sh']],
    ['as a value that is begun, within braces', 'tasks:\n  a: {idempotent: tr▮, run: x}', ['true', 'false']],
  ];
  for (const [where, text, words] of places) test(where, () => assert.deepEqual(wordsOf(text), words));

  test('in a task, but not what it has already', () => {
    const words = wordsOf('tasks:\n  a:\n    ▮\n    timeout: 3m\n  b: x\n');
    assert.deepEqual(words.slice(0, 8), without(TASK, 'timeout'));
    assert.ok(words.includes('run'));
  });

  const silent: readonly [where: string, text: string][] = [
    ['in a comment', 'tasks:\n  # ru▮'],
    ['in a command', 'tasks:\n  a:\n    run: npm ▮'],
    ['in a script of several lines', 'tasks:\n  a:\n    run: |\n      na▮'],
    ['for the name of a task', 'tasks:\n  ▮'],
    ['for the name of a variable', 'tasks:\n  a:\n    env:\n      ▮'],
    ['for a label', 'tasks:\n  a:\n    labels:\n      - ▮'],
    ['for a number', 'tasks:\n  a:\n    priority: ▮'],
  ];
  for (const [where, text] of silent) test(`and nothing ${where}`, () => assert.deepEqual(wordsOf(text), []));

  test('with what the schema says of it', () => {
    const priority = completionsOf('tasks:\n  a:\n    ▮').find(({ word }) => word === 'priority');
    assert.equal(priority?.description, '0 is the most urgent, 5 normal, 9 the least urgent.');
  });

  test('and takes the place of what was typed, with what must come next', () => {
    assert.equal(taken('tasks:\n  a:\n    ti▮\n', 'timeout'), 'tasks:\n  a:\n    timeout: \n');
    assert.equal(taken('tasks:\n  a:\n    ▮', 'labels'), 'tasks:\n  a:\n    labels:\n      - ');
    assert.equal(taken('tasks:\n  a:\n    - ▮', 'env'), 'tasks:\n  a:\n    - env:\n        ');
    assert.equal(taken('tasks:\n  a: {▮}', 'env'), 'tasks:\n  a: {env: }');
    assert.equal(taken('tasks:\n  a:\n    ti▮me: 3m\n', 'timeout'), 'tasks:\n  a:\n    timeout: 3m\n');
  });

  test('and what was taken and given a value is a task file that is understood', () => {
    const values = { steps: 'x', env: 'A: b', labels: 'gpu', artifacts: 'out', secrets: 'A', attempts: 'lost: 2' };
    for (const [key, value] of Object.entries(values)) {
      const text = taken('tasks:\n  a:\n    ▮', key) + value;
      const whole = key === 'steps' ? text : `${text}\n    run: x\n`;
      assert.ok(parseTaskFile(whole, { name: 'simple-ci.yaml' }).ok, whole);
    }
  });
});

describe('a key of a task file is explained', () => {
  test('in the words of the schema', () => {
    assert.match(meaningOf('tasks:\n  a:\n    time▮out: 3m') ?? '', /^For preparing the files and all steps together/);
    assert.match(meaningOf('tasks:\n  a:\n    steps: [{▮shell: sh}]') ?? '', /^"bash" or "sh"/);
  });

  test('and what is not the schema’s word is not', () => {
    for (const text of ['tasks:\n  ▮a: x', 'tasks:\n  a:\n    run: ti▮meout', 'tasks:\n  a:\n    x-▮own: 1', '▮'])
      assert.equal(meaningOf(text), undefined, text);
  });
});

test('help for task files never throws, whatever the text and wherever in it', () => {
  const word = fc.constantFrom(
    'tasks',
    'a',
    ':',
    ' ',
    '\n',
    '\n  ',
    '- ',
    '{',
    '}',
    '[',
    '&x',
    '*x',
    '"',
    '|',
    '#',
    'run',
    '',
  );
  const texts = fc.array(word, { maxLength: 30 }).map(words => words.join(''));
  fc.assert(
    fc.property(texts, fc.nat(80), (text, place) => {
      const offset = Math.min(place, text.length);
      for (const { from, to } of completeTaskFile(text, offset)) assert.ok(from <= offset && offset <= to);
      explainKey(text, offset);
    }),
    { numRuns: 500 },
  );
});
