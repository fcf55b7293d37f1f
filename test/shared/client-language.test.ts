import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import * as l10n from '@vscode/l10n';
import { createClient } from '../../shared/client.ts';

test('that no node can be reached is said in the language of VS Code', async t => {
  const bundle = new URL('../../l10n/bundle.l10n.de.json', import.meta.url);
  l10n.config({ contents: JSON.parse(await readFile(bundle, 'utf8')) });
  await using client = createClient({ urls: ['http://127.0.0.1:1'], token: 'sci_any' });
  await assert.rejects(
    client.call('cluster', {}, t.signal),
    /^CiError: Der Knoten auf http:\/\/127\.0\.0\.1:1 ist nicht/,
  );
});
