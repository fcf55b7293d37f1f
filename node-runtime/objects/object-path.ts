/**
 * How keys become names on disk. Each part of a key between slashes is a directory entry, percent-encoded so that no key can
 * leave the root. A `+` after a name says "a slash follows", so that `a` (a file) and `a/b` (a file in the directory `a+`) can
 * both exist; an `=` says "this part goes on", as names on disk end at 255 bytes. Neither sign is left by the encoding.
 *
 *   acme/ci/log.json  →  acme+/ci+/log.json
 */

const LONGEST_NAME = 140;

/** The path, relative to the root, of the file that holds this key's bytes. */
export function objectPath(key: string): string {
  return key.split('/').map(encodePart).join('+/');
}

/** The path, relative to the root, of the directory for keys that start with `folder`, which is empty or ends with a slash. */
export function folderPath(folder: string): string {
  return folder === '' ? '' : `${objectPath(folder.slice(0, -1))}+`;
}

/** What a directory entry is, or undefined for one that this store did not make. */
export type Entry =
  | { readonly kind: 'object'; readonly name: string }
  | { readonly kind: 'folder'; readonly name: string }
  /** More entries of the same folder, whose names all start with `encoded`. */
  | { readonly kind: 'continued'; readonly encoded: string };

/** @param encoded the entry's name with those of the directories that it continues in front */
export function parseEntry(encoded: string): Entry | undefined {
  if (encoded.endsWith('=')) return { kind: 'continued', encoded: encoded.slice(0, -1) };
  const isFolder = encoded.endsWith('+');
  const name = decodePart(isFolder ? encoded.slice(0, -1) : encoded);
  return name === undefined ? undefined : { kind: isFolder ? 'folder' : 'object', name };
}

function encodePart(part: string): string {
  const encoded = encodeURIComponent(part);
  if (encoded.length <= LONGEST_NAME) return encoded;
  return encoded.match(new RegExp(`.{1,${LONGEST_NAME}}`, 'g'))!.join('=/');
}

function decodePart(encoded: string): string | undefined {
  try {
    const part = decodeURIComponent(encoded);
    return encodeURIComponent(part) === encoded ? part : undefined;
  } catch {
    return undefined;
  }
}
