import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { plainLabel, plainMessage } from '../../extension/plain-message.ts';
import { parseTaskLink } from '../../extension/task-link.ts';

/** What VS Code 1.139 makes links of in notifications; a click on one that begins with `command:` runs it. */
const LINK = /\[([^\]]+)\]\(((?:https?:\/\/|command:|file:)[^)\s]+)(?: (["'])(.+?)(\3))?\)/i;
const WORDS = '[Mend it](command:workbench.action.terminal.new)';

test('what somebody else has written is no link to a command of VS Code', () => {
  assert.match(WORDS, LINK);
  for (const text of [WORDS, `Task ${WORDS} failed`, `[[a]](command:b)`, `[a](command:b "c")`, '[a](https://b)'])
    assert.doesNotMatch(plainMessage(text), LINK);
  assert.equal(plainMessage('Cannot read [a] (b)'), 'Cannot read [a] (b)');
});

test('of a command no part becomes an icon in a list', () => {
  const cases = ['echo $(pwd)', '$(sync~spin) $(error)', 'echo \\$(pwd)', 'ls $(git rev-parse HEAD)', 'make'];
  assert.deepEqual(cases.map(plainLabel), [
    'echo \\$(pwd)',
    '\\$(sync~spin) \\$(error)',
    'echo \\$(pwd)',
    'ls $(git rev-parse HEAD)',
    'make',
  ]);
});

test('a link that is refused brings none of its own into the message that says so', () => {
  const open = () => parseTaskLink({ path: `/${WORDS}`, query: '' });
  assert.throws(open, ({ message }: Error) => LINK.test(message) && !LINK.test(plainMessage(message)));
});

test('one file shows notifications, so that none is forgotten', () => {
  const folder = fileURLToPath(new URL('../../extension', import.meta.url));
  const shows = /\bshow(?:Error|Information|Warning)Message\b|ProgressLocation\.Notification\b/;
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.ts'));
  assert.deepEqual(
    files.filter(name => shows.test(readFileSync(`${folder}/${name}`, 'utf8'))),
    ['messages.ts'],
  );
});
