import { isAbsolute, normalize, sep } from 'node:path';

/**
 * Where a file that a log names may be in the user's workspace, most likely first. A task runs in a copy of the workspace: of an absolute
 * path on the node any end may be the path within the workspace, the longest first. None leads out of the folder.
 */
export function filePlaces(path: string): string[] {
  const clean = normalize(path.replace(/^file:\/\//, ''));
  const parts = clean.split(sep).filter(part => part !== '' && part !== '.');
  const inside = parts.slice(parts.lastIndexOf('..') + 1);
  const ends = inside.map((_, at) => inside.slice(at).join('/'));
  return isAbsolute(clean) ? ends : ends.slice(0, 1);
}
