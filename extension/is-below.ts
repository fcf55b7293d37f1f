import { isAbsolute, relative, sep } from 'node:path';

/** Whether a path lies in a folder, or in one within it. The folder itself does not. */
export function isBelow(folder: string, path: string): boolean {
  const inside = relative(folder, path);
  return inside !== '' && inside !== '..' && !inside.startsWith(`..${sep}`) && !isAbsolute(inside);
}
