import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** In larger folders nothing is looked for. */
const MOST_ENTRIES = 50_000;
/** What is never sent, or not written by who works here. */
const PASSED_OVER = ['.git', 'node_modules'];

/** The file of this name, in whatever folder below it; undefined if there is none, or another one too: a wrong one is worse than none. */
export async function findOnlyFile(
  name: string,
  folder: string,
  mostEntries = MOST_ENTRIES,
): Promise<string | undefined> {
  const found: string[] = [];
  const waiting = [folder];
  let seen = 0;
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const entries = await readdir(next, { withFileTypes: true }).catch(() => []);
    seen += entries.length;
    for (const entry of entries) {
      if (entry.isDirectory() && !PASSED_OVER.includes(entry.name)) waiting.push(join(next, entry.name));
      if (entry.isFile() && entry.name === name) found.push(join(next, entry.name));
    }
    if (found.length > 1 || seen > mostEntries) return undefined;
  }
  return found[0];
}
