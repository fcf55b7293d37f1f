import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rowText } from '../../shared/log-model/row-text.ts';

test('colours, links and what was searched for are laid over each other', () => {
  const parts = rowText({ text: 'see \u001b[31msrc/a.ts:3\u001b[0m now', style: {} }, /a\.ts:3 n/g);
  assert.deepEqual(
    parts.map(({ text, style, link, isHit }) => [text, style.foreground, link?.kind, isHit]),
    [
      ['see ', undefined, undefined, false],
      ['src/', 1, 'file', false],
      ['a.ts:3', 1, 'file', true],
      [' n', undefined, undefined, true],
      ['ow', undefined, undefined, false],
    ],
  );
});

test('a link of the program goes before one that is found in its text', () => {
  const parts = rowText({ text: '\u001b]8;;https://a.b\u0007https://c.d\u001b]8;;\u0007', style: {} }, undefined);
  assert.deepEqual(
    parts.map(({ link }) => link?.kind === 'address' && link.address),
    ['https://a.b'],
  );
});

test('an empty line has no text', () => {
  assert.deepEqual(rowText({ text: '', style: {} }, undefined), []);
});
