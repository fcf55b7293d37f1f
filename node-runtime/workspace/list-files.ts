import { type Dirent, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { CiError } from '../../shared/errors.ts';
import { quote } from '../../shared/ids.ts';
import { allDone } from './all-done.ts';
import { type FilePath, pathBytes, showPath, splitPaths } from './file-path.ts';
import type { Git } from './git.ts';
import { type GitRepository, repositoryAt } from './git-repository.ts';
import {
  type ListingPlace,
  type ListsDigest,
  unreadableFolder,
  type WorkTree,
  WorkTreeLists,
} from './work-tree-lists.ts';

/** What belongs into a snapshot of a work tree, submodules' and nested repositories' files included. */
export interface FileList {
  /** Known to a repository's index. Files that were deleted since the last snapshot may be among them. */
  readonly tracked: FilePath[];
  readonly untracked: FilePath[];
  /** Known to a repository, but there is no file, nor a repository: something may come to be there unseen. */
  readonly absent: FilePath[];
  /** The repositories inside the work tree. */
  readonly nested: GitRepository[];
}

/** Tells whether a tracked path is known to have been a file when the last snapshot was taken: no need to look. */
export type IsKnown = (path: FilePath) => boolean;

export type TreeDigests = Readonly<Record<string, ListsDigest>>;

const MAX_DEPTH = 20;

/**
 * Lists the files that the user's own `git add --all` would have: tracked ones (though ignored), and untracked ones that no
 * rule of .gitignore, info/exclude or his global ignore file leaves out. Asks git once for each work tree.
 */
export class FileLister {
  readonly #git: Git;
  readonly #place: ListingPlace;
  readonly #trees = new Map<string, WorkTreeLists>();

  constructor(git: Git, place: ListingPlace) {
    this.#git = git;
    this.#place = place;
  }

  async list(tree: WorkTree, isKnown: IsKnown, depth = 0): Promise<FileList> {
    if (depth > MAX_DEPTH)
      throw new CiError('invalid', `Cannot take snapshot as repositories are nested too deep: ${quote(tree.path)}`);
    const lists = this.#listsOf(tree);
    const [tracked, untracked] = await allDone([lists.tracked(), lists.untracked()]);
    const list: FileList = { tracked: [], untracked: [], absent: [], nested: [] };
    const folders: FilePath[] = [];
    for (const path of splitPaths(untracked)) {
      if (path.endsWith('/')) folders.push(path.slice(0, -1));
      else list.untracked.push(path);
    }
    const folderReader = new FolderReader(tree.path);
    let last: FilePath | undefined;
    for (const path of splitPaths(tracked)) {
      // A file in conflict is there up to three times.
      if (path === last) continue;
      last = path;
      const kind = isKnown(path) ? 'file' : folderReader.kindOf(path);
      if (kind === 'file') list.tracked.push(path);
      if (kind === 'folder') folders.push(path);
      if (kind === 'none') list.absent.push(path);
    }
    for (const folder of folders) await this.#addNested(tree, folder, list, isKnown, depth);
    return list;
  }

  /** Whether git lists the same paths in a work tree as it did. */
  isSame(tree: WorkTree, known: ListsDigest | undefined): Promise<boolean> {
    return known ? this.#listsOf(tree).isSame(known) : Promise.resolve(false);
  }

  /** Of all work trees that were looked at, by their paths. */
  async digests(known: TreeDigests = {}): Promise<TreeDigests> {
    const trees = [...this.#trees].map(async ([path, lists]) => [path, await lists.digest(known[path])] as const);
    return Object.fromEntries(await Promise.all(trees));
  }

  /** Those of the paths, relative to the top, that no repository tracks. */
  async untrackedAmong(top: string, paths: readonly FilePath[]): Promise<FilePath[]> {
    const candidates = new Set(paths);
    const found: FilePath[] = [];
    for (const [path, lists] of this.#trees) {
      const prefix = path === top ? '' : Buffer.from(`${relative(top, path)}/`).toString('latin1');
      for (const other of splitPaths(await lists.untracked()))
        if (candidates.has(prefix + other)) found.push(prefix + other);
    }
    return found;
  }

  #listsOf(tree: WorkTree): WorkTreeLists {
    let lists = this.#trees.get(tree.path);
    if (!lists) {
      lists = new WorkTreeLists(this.#git, this.#place, tree);
      this.#trees.set(tree.path, lists);
    }
    return lists;
  }

  /** A repository inside the work tree, be it a submodule or a clone that lies there: its files, by its own rules. */
  async #addNested(tree: WorkTree, folder: FilePath, list: FileList, isKnown: IsKnown, depth: number): Promise<void> {
    const path = join(tree.path, showPath(folder));
    const repository = await repositoryAt(path);
    if (!repository) {
      list.absent.push(folder);
      return;
    }
    const isKnownInside = (inner: FilePath) => isKnown(`${folder}/${inner}`);
    const inner = await this.list({ path, repository, only: '' }, isKnownInside, depth + 1);
    for (const kind of ['tracked', 'untracked', 'absent'] as const)
      for (const file of inner[kind]) list[kind].push(`${folder}/${file}`);
    list.nested.push(repository, ...inner.nested);
  }
}

type Kind = 'file' | 'folder' | 'none';

/** Tells what many paths are by reading their folders, each once: five times as quick as to look at each path. */
class FolderReader {
  readonly #workTree: string;
  readonly #folders = new Map<FilePath, ReadonlyMap<FilePath, Kind>>();

  constructor(workTree: string) {
    this.#workTree = workTree;
  }

  kindOf(path: FilePath): Kind {
    const slash = path.lastIndexOf('/');
    const folder = path.slice(0, Math.max(slash, 0));
    let entries = this.#folders.get(folder);
    if (!entries) {
      entries = this.#read(folder);
      this.#folders.set(folder, entries);
    }
    return entries.get(path.slice(slash + 1)) ?? 'none';
  }

  #read(folder: FilePath): Map<FilePath, Kind> {
    const kinds = new Map<FilePath, Kind>();
    for (const entry of entriesOf(pathBytes(this.#workTree, folder))) {
      const kind = entry.isDirectory() ? 'folder' : entry.isFile() || entry.isSymbolicLink() ? 'file' : 'none';
      kinds.set(entry.name.toString('latin1'), kind);
    }
    return kinds;
  }
}

/** Nothing for what is no folder. */
function entriesOf(folder: Buffer): Dirent<Buffer>[] {
  try {
    return readdirSync(folder, { withFileTypes: true, encoding: 'buffer' });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP') return [];
    if (code === 'EACCES') throw unreadableFolder(folder.toString());
    throw error;
  }
}
