import { access } from 'node:fs/promises';
import { join } from 'node:path';
import * as l10n from '@vscode/l10n';
import { CiError } from '../shared/errors.ts';
import { quote } from '../shared/ids.ts';
import { isBelow } from './is-below.ts';

/** Where an artifact is saved below the folder that was chosen. A cluster says where a file was: never outside of it. */
export function artifactTarget(folder: string, path: string): string {
  const target = join(folder, path);
  if (isBelow(folder, target)) return target;
  throw new CiError('invalid', l10n.t('Cannot save an artifact outside the folder that was chosen: {0}', quote(path)));
}

/** Which of these files are there already: saving takes their place. */
export async function existingFiles(paths: readonly string[]): Promise<string[]> {
  const isThere = (path: string) =>
    access(path).then(
      () => true,
      () => false,
    );
  const found = await Promise.all(paths.map(isThere));
  return paths.filter((_, at) => found[at]);
}
