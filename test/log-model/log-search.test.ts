import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LineReader } from '../../shared/log-model/line-reader.ts';
import { compileQuery, LogSearch, type LogQuery, textTest } from '../../shared/log-model/log-search.ts';

const encoder = new TextEncoder();

function search(text: string, query: Partial<LogQuery>, cuts: readonly number[] = []): number[] {
  const expression = compileQuery({ text: '', isRegExp: false, isCaseSensitive: false, ...query });
  assert.ok(typeof expression !== 'string', String(expression));
  const log = new LogSearch(textTest(expression));
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

test('a line without an end is searched as it comes, in the parts that are shown, and each part once', () => {
  const portion = encoder.encode('abcdefgh'.repeat(8000));
  let looked = 0;
  const log = new LogSearch(texts => {
    looked += texts.join('').length;
    return textTest(/needle/gu)(texts);
  });
  const portions = 100;
  const hits = Array.from({ length: portions }, () => log.push(portion)).flat();
  hits.push(...log.push(encoder.encode(' needle')));
  assert.ok(looked > 0.99 * portions * portion.length, `${looked} characters`);
  hits.push(...log.end());
  assert.ok(looked < 1.1 * portions * portion.length, `${looked} characters`);
  const total = portions * portion.length;
  assert.deepEqual(hits, [{ offset: total - (total % 8192) }]);
});

test('what lies over the edge of two parts of a long line is found in the first of them, and once', () => {
  const before = 'x'.repeat(8190);
  const long = `${before}needle${'y'.repeat(9000)}`;
  const text = `short\n${long}\nneedle\n`;
  const [second, last] = [6, 6 + long.length + 1];
  for (const cuts of [[], [100, 8194, 8198, 8200, 8300, 17_000], Array.from({ length: 300 }, (_, i) => i * 61)])
    assert.deepEqual(search(text, { text: 'needle' }, cuts), [second, last]);
  assert.deepEqual(search(`${'x'.repeat(8180)}needle needle needle\n`, { text: 'needle' }), [0, 8192]);
});

test('lines are named as those that are shown, short and long, whole and cut', () => {
  const text = `one\n${'long '.repeat(5000)}\n\n${'é'.repeat(4096)}\nlast`;
  const bytes = encoder.encode(text);
  const shown = new LineReader().read([{ kind: 'bytes', offset: 0, time: 0, bytes }]);
  const all = shown.map(({ offset }) => offset);
  assert.deepEqual(search(text, { text: '^', isRegExp: true }, [3, 9000, 20_000]), all);
});
