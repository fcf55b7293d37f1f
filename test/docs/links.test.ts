import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { documents, proseOf, root } from './documents.ts';

test('every link between documents leads somewhere', () => {
  const broken = documents.flatMap(file =>
    linksOf(file)
      .filter(link => !leadsSomewhere(file, link))
      .map(link => `${file}: ${link}`),
  );
  assert.deepEqual(broken, []);
});

test('every document of docs/ can be found from the README', () => {
  const links = linksOf('README.md');
  assert.deepEqual(
    documents.filter(file => file.startsWith('docs/') && !links.includes(file)),
    [],
  );
});

function linksOf(file: string): string[] {
  return [...proseOf(file).matchAll(/\]\(([^)\s]+)\)/g)]
    .map(match => match[1] ?? '')
    .filter(link => !/^[a-z]+:/.test(link));
}

function leadsSomewhere(file: string, link: string): boolean {
  const [path = '', anchor] = link.split('#');
  const target = path === '' ? file : join(dirname(file), path);
  if (!existsSync(join(root, target))) return false;
  return anchor === undefined || headingsOf(target).includes(anchor);
}

/** As they are made into anchors by forges. */
function headingsOf(file: string): string[] {
  return [...proseOf(file).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replaceAll(' ', '-'),
  );
}
