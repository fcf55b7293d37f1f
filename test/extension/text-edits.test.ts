import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Place, placeAfter, type TextEdit } from '../../extension/text-edits.ts';

const at = (line: number, character = 0): Place => ({ line, character });
const edit = (start: Place, end: Place, text: string): TextEdit => ({ start, end, text });
const insertion = (where: Place, text: string) => edit(where, where, text);

test('a problem moves with its line while the file is edited', () => {
  assert.deepEqual(placeAfter(at(10, 4), [insertion(at(2, 7), 'a\nb\nc')]), at(12, 4));
  assert.deepEqual(placeAfter(at(1, 4), [insertion(at(2), 'a\n')]), at(1, 4));
  assert.deepEqual(placeAfter(at(10), [edit(at(3, 2), at(5, 1), 'x')]), at(8));
  assert.deepEqual(placeAfter(at(10), [insertion(at(2), '\n'), edit(at(0), at(1), '')]), at(10));
});

test('it moves with it also where lines come just before it, and where its line is broken or joined', () => {
  assert.deepEqual(placeAfter(at(5), [insertion(at(5), 'import "a";\n')]), at(6));
  assert.deepEqual(placeAfter(at(5, 8), [insertion(at(5, 4), '\n  ')]), at(6, 6));
  assert.deepEqual(placeAfter(at(5, 8), [insertion(at(5, 20), '\n')]), at(5, 8));
  assert.deepEqual(placeAfter(at(5, 8), [edit(at(4, 30), at(5, 4), ' ')]), at(4, 35));
});

test('it stays where something is typed into its line', () => {
  assert.deepEqual(placeAfter(at(5, 8), [insertion(at(5, 2), 'abc')]), at(5, 11));
  assert.deepEqual(placeAfter(at(5, 8), [edit(at(5, 6), at(5, 12), 'other')]), at(5, 6));
  assert.deepEqual(placeAfter(at(5, 8), [edit(at(5, 6), at(5, 12), '')]), at(5, 6));
});

test('it is gone when its line is, and stays where many lines were replaced by as many', () => {
  assert.equal(placeAfter(at(5), [edit(at(5), at(6), '')]), undefined);
  assert.equal(placeAfter(at(5), [edit(at(4, 12), at(5, 12), '')]), undefined);
  assert.equal(placeAfter(at(5), [edit(at(3), at(7), 'x')]), undefined);
  assert.deepEqual(placeAfter(at(5, 3), [edit(at(0), at(9), 'x\n'.repeat(9))]), at(5, 3));
});
