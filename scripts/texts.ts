// Writes l10n/bundle.l10n.json: every text of the extension's code, for translators, and for VS Code, which has those of its language
// beside it. `node scripts/texts.ts` writes it, `node scripts/texts.ts --check` tells whether it is up to date.
import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { getL10nJson } from '@vscode/l10n-dev';
import { formatJson } from './format-json.ts';
import { type GeneratedFiles, writeGenerated } from './write-generated.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
/** What of it people see in VS Code is told in their language; `shared/` is part of it. */
const FOLDERS = ['extension', 'shared'];

export async function textFiles(): Promise<GeneratedFiles> {
  const texts = await getL10nJson(await sources());
  const sorted = Object.fromEntries(Object.entries(texts).sort(([a], [b]) => (a < b ? -1 : 1)));
  return new Map([['l10n/bundle.l10n.json', formatJson(sorted)]]);
}

async function sources(): Promise<{ contents: string; extension: string }[]> {
  const names = await Promise.all(
    FOLDERS.map(async folder => (await readdir(root + folder, { recursive: true })).map(name => `${folder}/${name}`)),
  );
  const code = names.flat().filter(name => name.endsWith('.ts'));
  return Promise.all(
    code.sort().map(async name => ({ contents: await readFile(root + name, 'utf8'), extension: '.ts' })),
  );
}

if (import.meta.main) await writeGenerated(await textFiles(), process.argv);
