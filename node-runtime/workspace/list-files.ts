import { copyFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { CiError } from '../../shared/errors.ts';
import { quote } from '../../shared/ids.ts';
import { type FilePath, lookAt, showPath, splitPaths } from './file-path.ts';
import type { Git } from './git.ts';
import { type GitRepository, repositoryAt } from './git-repository.ts';

/** What belongs into a snapshot of a work tree, submodules' and nested repositories' files included. */
export interface FileList {
  /** Known to a repository's index. Files that were deleted may be among them. */
  readonly tracked: FilePath[];
  readonly untracked: FilePath[];
  /** The repositories inside the work tree. */
  readonly nested: GitRepository[];
}

export interface ListContext {
  readonly git: Git;
  /** Our own git directory: the user's repositories are read through it, so that their settings count for nothing. */
  readonly gitDir: string;
  /** The user's own ignore file, for all of his repositories. */
  readonly excludesFile: string | undefined;
  /** Tells whether a tracked path is known to have been a file when the last snapshot was taken: no need to look. */
  readonly isKnown: Promise<(path: FilePath) => boolean>;
}

export interface WorkTree {
  readonly path: string;
  readonly repository: GitRepository | undefined;
  /** Only what lies under this folder: empty, or ending with /. */
  readonly only: string;
}

const MAX_DEPTH = 20;

/**
 * Lists the files that the user's own `git add --all` would have: tracked ones (though ignored), and untracked ones that no
 * rule of .gitignore, info/exclude or his global ignore file leaves out.
 */
export async function listFiles(context: ListContext, tree: WorkTree, depth = 0): Promise<FileList> {
  if (depth > MAX_DEPTH)
    throw new CiError('invalid', `Cannot take snapshot as repositories are nested too deep: ${quote(tree.path)}`);
  const [cached, others, isKnown] = await Promise.all([
    listCached(context, tree),
    listOthers(context, tree),
    context.isKnown,
  ]);
  const list: FileList = { tracked: [], untracked: [], nested: [] };
  const folders: FilePath[] = [];
  for (const path of others) {
    if (path.endsWith('/')) folders.push(path.slice(0, -1));
    else list.untracked.push(path);
  }
  for (const path of cached) {
    const kind = isKnown(path) ? 'file' : kindOf(tree.path, path);
    if (kind === 'file') list.tracked.push(path);
    if (kind === 'folder') folders.push(path);
  }
  for (const folder of folders) await addNested(context, tree, folder, list, depth);
  return list;
}

async function listCached(context: ListContext, tree: WorkTree): Promise<FilePath[]> {
  if (!tree.repository) return [];
  const paths = splitPaths(await listing(context, tree, ['--cached']));
  // A file in conflict is there up to three times.
  return paths.filter((path, index) => path !== paths[index - 1]);
}

async function listOthers(context: ListContext, tree: WorkTree): Promise<FilePath[]> {
  const ignores = [context.excludesFile, tree.repository && join(tree.repository.commonDir, 'info/exclude')];
  const args = ['--others', '--exclude-per-directory=.gitignore'];
  for (const file of ignores) if (file !== undefined && (await isFile(file))) args.push(`--exclude-from=${file}`);
  return splitPaths(await listing(context, tree, args));
}

async function listing(context: ListContext, { path, repository, only }: WorkTree, args: string[]): Promise<Buffer> {
  const { git, gitDir } = context;
  const indexFile = repository ? join(repository.gitDir, 'index') : join(gitDir, 'no-index');
  if (repository) await bringSharedIndex(repository, gitDir);
  return git.output({ gitDir, workTree: path, indexFile }, 'ls-files', '-z', ...args, ...(only ? ['--', only] : []));
}

/** The other half of a split index is looked for beside HEAD. */
async function bringSharedIndex(repository: GitRepository, gitDir: string): Promise<void> {
  for (const name of await readdir(repository.gitDir))
    if (name.startsWith('sharedindex.')) await copyFile(join(repository.gitDir, name), join(gitDir, name));
}

function kindOf(workTree: string, path: FilePath): 'file' | 'folder' | 'none' {
  const info = lookAt(workTree, path);
  if (info?.isDirectory()) return 'folder';
  return info?.isFile() || info?.isSymbolicLink() ? 'file' : 'none';
}

/** A repository inside the work tree, be it a submodule or a clone that lies there: its files, by its own rules. */
async function addNested(context: ListContext, tree: WorkTree, folder: FilePath, list: FileList, depth: number) {
  const path = join(tree.path, showPath(folder));
  const repository = await repositoryAt(path);
  if (!repository) return;
  const isKnown = context.isKnown.then(known => (inner: FilePath) => known(`${folder}/${inner}`));
  const inner = await listFiles({ ...context, isKnown }, { path, repository, only: '' }, depth + 1);
  for (const file of inner.tracked) list.tracked.push(`${folder}/${file}`);
  for (const file of inner.untracked) list.untracked.push(`${folder}/${file}`);
  list.nested.push(repository, ...inner.nested);
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() ?? false;
}
