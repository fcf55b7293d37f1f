import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));

/** What generated files must hold, by their path in the repository. */
export type GeneratedFiles = ReadonlyMap<string, string>;

export async function readFromRoot(path: string): Promise<string> {
  return readFile(join(root, path), 'utf8').catch(() => '');
}

/** The paths of those that hold something else, or are not there. */
export async function staleFiles(files: GeneratedFiles): Promise<string[]> {
  const stale: string[] = [];
  for (const [path, text] of files) if ((await readFromRoot(path)) !== text) stale.push(path);
  return stale;
}

/** Writes what is stale; with `--check` only tells, and ends with 1 if there is anything to write. */
export async function writeGenerated(files: GeneratedFiles, argv: readonly string[]): Promise<void> {
  const stale = await staleFiles(files);
  const isCheck = argv.includes('--check');
  for (const path of stale) {
    console.log(isCheck ? `Out of date: ${path}` : `Wrote ${path}`);
    if (isCheck) continue;
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), files.get(path)!);
  }
  if (stale.length === 0) console.log('All up to date.');
  if (isCheck && stale.length > 0) process.exitCode = 1;
}
