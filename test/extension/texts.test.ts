import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { textFiles } from '../../scripts/texts.ts';
import { staleFiles } from '../../scripts/write-generated.ts';

type Texts = Readonly<Record<string, string | { readonly message: string }>>;

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string) => JSON.parse(readFileSync(root + path, 'utf8')) as Texts;
const translationsIn = (folder: string, name: RegExp) =>
  readdirSync(root + folder).flatMap(file => (name.test(file) ? [folder + file] : []));

const MANIFEST = { original: 'package.nls.json', translations: translationsIn('', /^package\.nls\.[\w-]+\.json$/) };
const CODE = {
  original: 'l10n/bundle.l10n.json',
  translations: translationsIn('l10n/', /^bundle\.l10n\.[\w-]+\.json$/),
};

test('the texts for translators are those of the code: node scripts/run.mjs scripts/texts.ts', async () => {
  assert.deepEqual(await staleFiles(await textFiles()), []);
});

for (const { original, translations } of [MANIFEST, CODE]) {
  const texts = read(original);

  test(`${original} is translated into the same languages as the other`, () => {
    const languages = (paths: readonly string[]) => paths.map(path => path.split('.').at(-2));
    assert.ok(translations.length > 0);
    assert.deepEqual(languages(translations), languages(MANIFEST.translations));
  });

  for (const path of translations)
    test(`${path} has each text of ${original}, with what is put into it, and no other`, () => {
      const translated = read(path);
      assert.deepEqual(Object.keys(translated).sort(), Object.keys(texts).sort());
      for (const [key, text] of Object.entries(texts)) {
        assert.notEqual(messageOf(translated[key]!).trim(), '', key);
        assert.deepEqual(partsOf(messageOf(translated[key]!)), partsOf(messageOf(text)), key);
      }
    });
}

function messageOf(text: Texts[string]): string {
  return typeof text === 'string' ? text : text.message;
}

/** What stays as it is in every language: places that are filled in, and commands that a link runs. */
function partsOf(text: string): string[] {
  return [...text.matchAll(/\{\w+\}|\(command:[\w.-]+\)|`[^`]+`/g)].map(([part]) => part).sort();
}
