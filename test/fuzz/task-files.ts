import assert from 'node:assert/strict';
import fc from 'fast-check';
import { stringify } from 'yaml';
import { parseDuration } from '../../shared/duration.ts';
import { GitSource, type Step, TaskBody, TaskRecord, TaskSpec } from '../../shared/task.ts';
import { type ParsedTaskFile, parseTaskFile } from '../../shared/task-file.ts';
import { damaged, edits } from './damaged.ts';
import { type FuzzTarget, pure } from './fuzz-target.ts';
import { rawText } from './raw-text.ts';

const names = fc.stringMatching(/^[a-zA-Z0-9_äß][a-zA-Z0-9 _.:äß-]{0,20}$/);
const scripts = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 }).filter(text => !text.includes('\u0000'));
const paths = fc.stringMatching(/^[a-z][a-z.*]{0,6}(\/[a-z][a-z.*]{0,6}){0,3}$/);
const durations = fc.oneof(fc.integer({ min: 1, max: 1000 }), fc.constantFrom('90s', '10m', '1h30m', '1.5h', '500ms'));
const environment = fc.dictionary(fc.stringMatching(/^[A-Z_][A-Z0-9_]{0,8}$/).filter(isFree), scripts, {
  maxKeys: 4,
  noNullPrototype: true,
});
/** As it comes out of a file, where there is no -0; a key that is refused for its name is another target's matter. */
const anyJson = fc
  .jsonValue({ maxDepth: 2 })
  .map(value => JSON.stringify(value))
  .filter(text => !/"(__proto__|prototype|constructor)":/.test(text))
  .map(text => JSON.parse(text) as unknown);
/** What a newer release or the user may have added. */
const extra = fc.dictionary(fc.stringMatching(/^x-[a-z]{1,6}$/), anyJson, {
  maxKeys: 2,
  noNullPrototype: true,
});

const steps: fc.Arbitrary<Step> = fc
  .tuple(
    fc.record(
      {
        run: scripts,
        name: names,
        shell: fc.oneof(
          fc.constantFrom('bash' as const, 'sh' as const),
          fc.array(scripts, { minLength: 1, maxLength: 3 }),
        ),
        env: environment,
        workingDirectory: paths,
        timeout: durations,
        continueOnError: fc.boolean(),
      },
      { requiredKeys: ['run'], noNullPrototype: true },
    ),
    extra,
  )
  .map(([step, more]) => ({ ...step, ...more }) as Step);

const bodies: fc.Arbitrary<TaskBody> = fc
  .tuple(
    fc.record(
      {
        name: names,
        steps: fc.array(steps, { minLength: 1, maxLength: 4 }),
        env: environment,
        workingDirectory: paths,
        timeout: durations,
        idleTimeout: durations,
        priority: fc.integer({ min: 0, max: 9 }),
        labels: fc.array(fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._/=-]{0,9}$/), { maxLength: 3 }),
        slots: fc.integer({ min: 1, max: 1000 }),
        artifacts: fc.array(paths, { maxLength: 3 }),
        attempts: fc.record({ crashed: fc.integer({ min: 1, max: 100 }) }, { requiredKeys: [], noNullPrototype: true }),
        idempotent: fc.boolean(),
        secrets: fc.array(fc.stringMatching(/^[A-Z_][A-Z0-9_]{0,9}$/), { maxLength: 3 }),
      },
      { requiredKeys: ['name', 'steps'], noNullPrototype: true },
    ),
    extra,
  )
  .map(([body, more]) => ({ ...body, ...more }) as TaskBody);

const files = fc.dictionary(names, bodies, { minKeys: 1, maxKeys: 3, noNullPrototype: true }).filter(hasAllowedNames);
const texts = fc.tuple(files, fc.boolean()).map(([tasks, isJson]) => written(tasks, isJson));
/** Pieces of YAML and JSON that parsers stumble over. */
const words = fc.constantFrom(
  ...[
    'tasks',
    'a',
    'run',
    'steps',
    'version',
    'env',
    ':',
    ': ',
    ' ',
    '  ',
    '\n',
    '\r',
    '\t',
    '- ',
    '{',
    '}',
    '[',
    ']',
    ',',
  ],
  ...[
    '&x',
    '*x',
    '"',
    "'",
    '|',
    '>',
    '? ',
    '!!x',
    '!',
    '#',
    '%',
    '---',
    '...',
    '<<',
    '__proto__',
    '\u0000',
    '\ufeff',
    '\u2028',
    '1',
    '1e999',
    '.nan',
    '~',
  ],
);
const jumbles = fc.oneof(
  fc.string({ unit: 'binary' }),
  rawText,
  fc.array(words, { maxLength: 40 }).map(list => list.join('')),
  fc.array(words, { maxLength: 20 }).map(list => `tasks:\n  a:\n    ${list.join('')}`),
);

export const taskFileTargets: readonly FuzzTarget[] = [
  ...pure(
    'task files: any text is tasks, or mistakes with their places in it',
    1000,
    fc.property(jumbles, fc.boolean(), (text, isJson) => checkRead(text, isJson)),
  ),
  ...pure(
    'task files: a good one that was damaged is tasks, or mistakes with their places in it',
    300,
    fc.property(texts, edits, fc.boolean(), (text, list, isJson) =>
      checkRead(Buffer.from(damaged(Buffer.from(text), list)).toString(), isJson),
    ),
  ),
  ...pure(
    'task files: what is written as YAML or JSON is read as the same tasks',
    300,
    fc.property(files, fc.boolean(), (tasks, isJson) => {
      const parsed = parse(written(tasks, isJson), isJson);
      assert.ok(parsed.ok, JSON.stringify(parsed));
      assert.deepEqual(Object.fromEntries(parsed.tasks), tasks);
      assert.deepEqual(parsed.warnings, []);
    }),
  ),
  ...pure(
    'task files: a task goes through every schema, and keeps what it does not know',
    300,
    fc.property(bodies, body => {
      const submitted = { v: 1, submitted: 1, submitter: 'a' };
      assert.deepEqual(TaskBody.parse(again(body)), body);
      assert.deepEqual(TaskSpec.parse(again(body)), body);
      assert.deepEqual(TaskRecord.parse(again({ ...body, ...submitted })), { ...body, ...submitted });
    }),
  ),
  ...pure(
    'task files: what any JSON is accepted as can be run',
    1000,
    fc.property(
      bodies,
      fc.constantFrom('workingDirectory', 'timeout', 'idleTimeout', 'artifacts'),
      hostileTexts(),
      (body, key, text) => {
        const { success, data } = TaskSpec.safeParse({ ...body, [key]: key === 'artifacts' ? [text] : text });
        if (!success) return;
        for (const path of [data.workingDirectory ?? '', ...(data.artifacts ?? [])])
          assert.ok(!path.split('/').includes('..') && !path.startsWith('/'), path);
        for (const time of [data.timeout, data.idleTimeout])
          if (time !== undefined) assert.ok(parseDuration(time) >= 0);
      },
    ),
  ),
  ...pure(
    'task files: no git address or ref that is accepted can be taken for an option',
    1000,
    fc.property(hostileTexts(), hostileTexts(), (url, ref) => {
      const { success } = GitSource.safeParse({ type: 'git', url, ref: 'main' });
      if (success) assert.match(url, /^[A-Za-z0-9][^\u0000-\u0020\u007f]*$/);
      if (GitSource.safeParse({ type: 'git', url: 'https://a/b', ref }).success)
        assert.match(ref, /^[^-+\u0000-\u0020][^\u0000-\u0020\u007f]*$/);
    }),
  ),
];

function hostileTexts(): fc.Arbitrary<string> {
  const part = fc.constantFrom(
    ...[
      '..',
      '.',
      '/',
      '\n',
      '\r',
      '\u2028',
      '\u0000',
      '\\',
      'a',
      '-',
      '--upload-pack=x',
      'ext::',
      'https://',
      'ssh://',
      'git@h:',
      'host',
    ],
    ...['@', ':', '%2D', ' ', '9'.repeat(400), '1h', '5s', '*', '**', '{', '~', '.lock', 'a/b'],
  );
  return fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(part, { maxLength: 8 }).map(list => list.join('')),
  );
}

function checkRead(text: string, isJson: boolean): void {
  const parsed = parse(text, isJson);
  const lines = text.split(/\r\n|\n/);
  const told = parsed.ok ? parsed.warnings : parsed.problems;
  assert.ok(parsed.ok || (told.length > 0 && told.length <= 50));
  for (const { line, column, message } of told) {
    assert.ok(line >= 1 && line <= lines.length, `${line} of ${lines.length} lines: ${message}`);
    assert.ok(column >= 1 && column <= lines[line - 1]!.length + 2, `${line}:${column}: ${message}`);
    assert.match(message, /^[^\u0000-\u001f]{1,500}$/);
  }
  if (parsed.ok) for (const task of parsed.tasks.values()) assert.deepEqual(TaskBody.parse(again(task)), again(task));
  assert.equal(({} as { polluted?: unknown }).polluted, undefined);
}

function parse(text: string, isJson: boolean): ParsedTaskFile {
  return parseTaskFile(text, { name: isJson ? 'simple-ci.json' : 'simple-ci.yaml' });
}

function written(tasks: Record<string, TaskBody>, isJson: boolean): string {
  return isJson ? JSON.stringify({ tasks }, null, 2) : stringify({ tasks }, { aliasDuplicateObjects: false });
}

function again<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}

function isFree(name: string): boolean {
  return !name.startsWith('SIMPLE_CI_');
}

function hasAllowedNames(tasks: Record<string, TaskBody>): boolean {
  return Object.keys(tasks).every(
    name => !['constructor', 'prototype', '__proto__'].includes(name) && name.trim() === name,
  );
}
