import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { PLAIN, plainLine, styleLine, type TextStyle } from '../../shared/log-model/ansi.ts';

/** `text` or `text{style}` for each stretch. */
function shown(line: string, start: TextStyle = PLAIN): string {
  return styleLine(line, start)
    .spans.map(({ text, style }) => (Object.keys(style).length === 0 ? text : `${text}${JSON.stringify(style)}`))
    .join('|');
}

const golden: [string, string, string][] = [
  ['plain text', 'hello', 'hello'],
  ['a colour and its end', 'a\u001b[31mred\u001b[0mb', 'a|red{"foreground":1}|b'],
  ['a bright colour', '\u001b[92mok', 'ok{"foreground":10}'],
  ['text on a background', '\u001b[30;47mx', 'x{"foreground":0,"background":7}'],
  ['several attributes at once', '\u001b[1;3;4;9mx', 'x{"bold":true,"italic":true,"underline":true,"strike":true}'],
  [
    'bold that ends while the colour goes on',
    '\u001b[1;32ma\u001b[22mb',
    'a{"bold":true,"foreground":2}|b{"foreground":2}',
  ],
  ['a colour of the palette', '\u001b[38;5;208mx', 'x{"foreground":"#ff8700"}'],
  ['a grey of the palette', '\u001b[38;5;240mx', 'x{"foreground":"#585858"}'],
  ['one of the sixteen by its number', '\u001b[38;5;9mx', 'x{"foreground":9}'],
  ['a true colour', '\u001b[48;2;1;2;255mx', 'x{"background":"#0102ff"}'],
  ['a true colour with colons', '\u001b[38:2:10:20:30mx', 'x{"foreground":"#0a141e"}'],
  ['an empty reset', '\u001b[31ma\u001b[mb', 'a{"foreground":1}|b'],
  ['a progress bar that was written over', ' 10%\r 50%\r100%', '100%'],
  ['a line that ends with a carriage return', 'done\r', 'done'],
  ['a hyperlink', '\u001b]8;;https://a.b/c\u0007here\u001b]8;;\u0007 on', 'here{"link":"https://a.b/c"}| on'],
  ['a hyperlink that is none', '\u001b]8;;javascript:alert(1)\u0007here\u001b]8;;\u0007', 'here'],
  ['a title for the window', '\u001b]0;owned\u0007x', 'x'],
  ['a write to the clipboard', '\u001b]52;c;cm0gLXJm\u0007x', 'x'],
  ['movements of the cursor', 'a\u001b[2Kb\u001b[1Ac\u001b[10;10Hd', 'a|b|c|d'],
  ['bells and backspaces', 'a\u0007\u0008b', 'a|b'],
  ['text that would turn its direction', 'a\u202eb', 'a|b'],
  ['a sequence that never ends', 'a\u001b[38;5', 'a|38;5'],
  ['a colour that does not exist', '\u001b[38;5;999mx', 'x'],
  ['a tab', 'a\tb', 'a\tb'],
];

for (const [name, line, expected] of golden)
  test(`${name} is shown as it should be`, () => assert.equal(shown(line), expected));

test('a style goes on in the next line', () => {
  const { style } = styleLine('\u001b[31mred', PLAIN);
  assert.equal(shown('still', style), 'still{"foreground":1}');
});

/** What hostile programs are made of. */
const hostile = fc.array(
  fc.oneof(
    fc.constantFrom(
      '\u001b',
      '\u001b[',
      '\u001b]',
      '\u001b]8;;',
      '\u009b',
      '\u0090',
      '\u009d',
      '\u0007',
      '\u001b\\',
      '\r',
      '\u202e',
    ),
    fc.constantFrom(
      '31m',
      '38;2;',
      '1;',
      'm',
      'H',
      '?25l',
      'javascript:',
      'https://x',
      '<script>',
      '\u0000',
      'text',
      '[',
    ),
    fc.string({ unit: 'binary', maxLength: 4 }),
  ),
  { maxLength: 30 },
);

test('nothing but text, styles and web addresses comes out of 500 hostile lines', () => {
  fc.assert(
    fc.property(hostile, parts => {
      const line = parts.join('').replaceAll('\n', '');
      for (const { text, style } of styleLine(line, PLAIN).spans) {
        assert.doesNotMatch(text, /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/);
        for (const color of [style.foreground, style.background])
          assert.ok(
            color === undefined ||
              (typeof color === 'number' ? color >= 0 && color < 16 : /^#[0-9a-f]{6}$/.test(color)),
          );
        assert.match(style.link ?? 'https://none', /^https?:\/\//);
      }
    }),
    { numRuns: 500 },
  );
});

test('a line made to be slow takes no longer than its length', () => {
  const sizes = [20_000, 80_000].map(length => {
    const line = '\u001b]'.repeat(length / 2) + '\u001b['.repeat(length / 2);
    const started = performance.now();
    plainLine(line);
    return performance.now() - started;
  });
  assert.ok(sizes[1]! < 2000, `${sizes}`);
});
