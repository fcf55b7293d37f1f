import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeStyle } from '../../node-runtime/cli/style.ts';
import { formatTable } from '../../node-runtime/cli/table.ts';
import { fit, plainText, textWidth } from '../../node-runtime/cli/text-width.ts';

const columns = [{ title: 'ID' }, { title: 'NAME', flexible: true }, { title: 'TOOK', align: 'right' }] as const;
const plain = makeStyle(false);

test('columns are as wide as their widest cell', () => {
  const rows = [
    ['1', 'build', '12.0 s'],
    ['22', 'a longer name', '1 s'],
  ];
  assert.deepEqual(formatTable(columns, rows, undefined, plain), [
    'ID  NAME             TOOK',
    '1   build          12.0 s',
    '22  a longer name     1 s',
  ]);
});

test('a flexible column gives way until the table fits the terminal', () => {
  const lines = formatTable(columns, [['1', 'a very long name that does not fit', '1 s']], 24, plain);
  assert.deepEqual(lines, ['ID  NAME            TOOK', '1   a very long n…   1 s']);
});

test('colours take no room', () => {
  const { green } = makeStyle(true);
  const [, row] = formatTable(columns, [['1', green('ok'), '1 s']], undefined, plain);
  assert.equal(row, `1   ${green('ok')}     1 s`);
});

test('the width of text counts wide characters twice and combining marks not at all', () => {
  assert.equal(textWidth('abc'), 3);
  assert.equal(textWidth('日本'), 4);
  assert.equal(textWidth('e\u0301'), 1);
  assert.equal(textWidth('✓ passed'), 8);
  assert.equal(textWidth('🚀'), 2);
});

test('text is cut to columns, never through a wide character', () => {
  assert.equal(fit('日本語', 6), '日本語');
  assert.equal(fit('日本語', 5), '日本…');
  assert.equal(fit('日本語', 4), '日…');
});

test('names of others cannot steer the terminal', () => {
  assert.equal(plainText('a\u001b]0;title\u0007b\nc'), 'a\ufffd]0;title\ufffdb c');
});
