import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compileQuery, LogSearch, type LogQuery } from '../../shared/log-model/log-search.ts';

const encoder = new TextEncoder();

function search(text: string, query: Partial<LogQuery>, cuts: readonly number[] = []): number[] {
  const expression = compileQuery({ text: '', isRegExp: false, isCaseSensitive: false, ...query });
  assert.ok(typeof expression !== 'string', String(expression));
  const log = new LogSearch(expression);
  const bytes = encoder.encode(text);
  const edges = [...new Set([0, bytes.length, ...cuts.map(cut => cut % (bytes.length + 1))])].sort((a, b) => a - b);
  const hits = edges.slice(0, -1).flatMap((start, i) => log.push(bytes.subarray(start, edges[i + 1])));
  return [...hits, ...log.end()].map(({ offset }) => offset);
}

test('a line is found by what people read, whatever its colours', () => {
  assert.deepEqual(search('one\ntwo \u001b[31mred\u001b[0m dogs\n', { text: 'red dogs' }), [4]);
});

test('case counts only when it is asked for', () => {
  assert.deepEqual(search('Error\nerror\n', { text: 'error' }), [0, 6]);
  assert.deepEqual(search('Error\nerror\n', { text: 'error', isCaseSensitive: true }), [6]);
});

test('signs of expressions are signs, unless an expression was meant', () => {
  assert.deepEqual(search('a.c\nabc\n', { text: 'a.c' }), [0]);
  assert.deepEqual(search('a.c\nabc\n', { text: 'a.c', isRegExp: true }), [0, 4]);
});

test('an expression that is none is told', () => {
  assert.match(String(compileQuery({ text: '(', isRegExp: true, isCaseSensitive: false })), /nvalid/);
});

test('every line that has the word is found, however the log is cut', () => {
  const lines = fc.array(fc.string({ unit: fc.constantFrom('x', 'ab', 'é', ' '), maxLength: 8 }), { maxLength: 20 });
  fc.assert(
    fc.property(lines, fc.array(fc.nat(), { maxLength: 6 }), (all, cuts) => {
      const text = all.map(line => `${line}\n`).join('');
      let at = 0;
      const expected = all.flatMap(line => {
        const offset = at;
        at += encoder.encode(line).length + 1;
        return line.includes('ab') ? [offset] : [];
      });
      assert.deepEqual(search(text, { text: 'ab' }, cuts), expected);
    }),
  );
});
