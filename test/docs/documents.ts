import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));

export interface CodeBlock {
  readonly file: string;
  readonly language: string;
  readonly text: string;
}

/** What is written for people, by its path in the repository. */
export const documents: readonly string[] = [
  ...readdirSync(root).filter(name => name.endsWith('.md')),
  ...readdirSync(join(root, 'docs'))
    .filter(name => name.endsWith('.md'))
    .map(name => `docs/${name}`),
];

export function textOf(file: string): string {
  return readFileSync(join(root, file), 'utf8');
}

/** All fenced blocks of all documents. */
export function codeBlocks(): CodeBlock[] {
  return documents.flatMap(file =>
    [...textOf(file).matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, language = '', text = '']) => ({
      file,
      language,
      text,
    })),
  );
}

/** A document without its code, where `#` begins no heading and brackets make no link. */
export function proseOf(file: string): string {
  return textOf(file)
    .replaceAll(/^```.*?^```$/gms, '')
    .replaceAll(/`[^`\n]*`/g, code => code.replaceAll(/[[\]()]/g, ' '));
}
