import { mkdir, writeFile } from 'node:fs/promises';
import { devNull } from 'node:os';
import { join } from 'node:path';

/** How a repository names its objects: by SHA-1 (40 hex digits) or SHA-256 (64). */
export type ObjectFormat = 'sha1' | 'sha256';

/** The format that this commit or tree id belongs to. */
export function formatOf(id: string): ObjectFormat {
  return id.length === 64 ? 'sha256' : 'sha1';
}

export interface GitDirOptions {
  readonly format: ObjectFormat;
  /** More `section.key` settings for its config file. */
  readonly config?: Readonly<Record<string, string>>;
  /** Other repositories' object folders to read from. */
  readonly alternates?: readonly string[];
  /** A commit for HEAD; without one HEAD is a branch that is not born yet. */
  readonly head?: string;
  /** Commits whose parents are not here. */
  readonly shallow?: readonly string[];
}

/**
 * Bytes go from files into blobs and back as they are: no line ends, no filters (LFS), no keywords, no encodings, whatever
 * the workspace's own .gitattributes say. What lies in info/ wins over those.
 */
const RAW_ATTRIBUTES = '* -text -filter -ident !working-tree-encoding\n';

const RAW_CONFIG: Readonly<Record<string, string>> = {
  'core.bare': 'false',
  'core.hooksPath': devNull,
  'core.fsmonitor': 'false',
  'core.autocrlf': 'false',
  'core.protectHFS': 'true',
  'core.protectNTFS': 'true',
  'core.logAllRefUpdates': 'false',
  'gc.auto': '0',
};

/** Makes a git directory by hand: no templates, no hooks, no process. The folder may exist already. */
export async function writeGitDir(path: string, options: GitDirOptions): Promise<void> {
  const { format, config, alternates = [], head, shallow = [] } = options;
  for (const folder of ['objects/info', 'objects/pack', 'refs/heads', 'info'])
    await mkdir(join(path, folder), { recursive: true });
  await writeFile(join(path, 'config'), configText(format, { ...RAW_CONFIG, ...config }));
  await writeFile(join(path, 'info/attributes'), RAW_ATTRIBUTES);
  if (alternates.length > 0) await writeAlternates(path, alternates);
  if (shallow.length > 0) await writeFile(join(path, 'shallow'), lines(shallow));
  // Last: without HEAD it is no repository, so one that was half made is made anew.
  await writeFile(join(path, 'HEAD'), head === undefined ? 'ref: refs/heads/main\n' : `${head}\n`);
}

export async function writeAlternates(gitDir: string, objectFolders: readonly string[]): Promise<void> {
  await writeFile(join(gitDir, 'objects/info/alternates'), lines(objectFolders.map(quotePath)));
}

function configText(format: ObjectFormat, settings: Readonly<Record<string, string>>): string {
  const all = {
    'core.repositoryformatversion': format === 'sha256' ? '1' : '0',
    ...settings,
    ...(format === 'sha256' && { 'extensions.objectformat': 'sha256' }),
  };
  return lines(
    Object.entries(all).map(([name, value]) => {
      const [section, key] = name.split('.');
      return `[${section}]\n\t${key} = ${JSON.stringify(value)}`;
    }),
  );
}

/** A path with a line end in it stands in git's quotes. */
function quotePath(path: string): string {
  return /["\n\\]/.test(path) ? `"${path.replace(/["\\]/g, '\\$&').replaceAll('\n', '\\n')}"` : path;
}

function lines(items: readonly string[]): string {
  return items.map(item => `${item}\n`).join('');
}
