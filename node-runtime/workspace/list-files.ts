import { createHash } from 'node:crypto';
import { type Dirent, readdirSync } from 'node:fs';
import { copyFile, readdir, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { CiError } from '../../shared/errors.ts';
import { quote } from '../../shared/ids.ts';
import { type FilePath, pathBytes, showPath, splitPaths } from './file-path.ts';
import { type Git, GitError } from './git.ts';
import { type GitRepository, repositoryAt } from './git-repository.ts';

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

export interface WorkTree {
  readonly path: string;
  readonly repository: GitRepository | undefined;
  /** Only what lies under this folder: empty, or ending with /. */
  readonly only: string;
}

/** git's own words: paths, each ended by a NUL. */
interface RawListing {
  readonly cached: Buffer;
  readonly others: Buffer;
}

/** Tells whether a tracked path is known to have been a file when the last snapshot was taken: no need to look. */
export type IsKnown = (path: FilePath) => boolean;

const MAX_DEPTH = 20;

/**
 * Lists the files that the user's own `git add --all` would have: tracked ones (though ignored), and untracked ones that no
 * rule of .gitignore, info/exclude or his global ignore file leaves out. Asks git once for each work tree.
 */
export class FileLister {
  readonly #git: Git;
  readonly #gitDir: string;
  readonly #excludesFile: string;
  readonly #listings = new Map<string, Promise<RawListing>>();

  /** @param gitDir our own: the user's repositories are read through it, so that their settings count for nothing */
  constructor(git: Git, gitDir: string, excludesFile: string) {
    this.#git = git;
    this.#gitDir = gitDir;
    this.#excludesFile = excludesFile;
  }

  async list(tree: WorkTree, isKnown: IsKnown, depth = 0): Promise<FileList> {
    if (depth > MAX_DEPTH)
      throw new CiError('invalid', `Cannot take snapshot as repositories are nested too deep: ${quote(tree.path)}`);
    const { cached, others } = await this.ask(tree);
    const list: FileList = { tracked: [], untracked: [], absent: [], nested: [] };
    const folders: FilePath[] = [];
    for (const path of splitPaths(others)) {
      if (path.endsWith('/')) folders.push(path.slice(0, -1));
      else list.untracked.push(path);
    }
    const folderReader = new FolderReader(tree.path);
    let last: FilePath | undefined;
    for (const path of splitPaths(cached)) {
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

  /** Asks git for what there is in a work tree, unless it has been asked. */
  ask(tree: WorkTree): Promise<RawListing> {
    const known = this.#listings.get(tree.path);
    if (known !== undefined) return known;
    const listing = this.#ask(tree);
    listing.catch(() => undefined);
    this.#listings.set(tree.path, listing);
    return listing;
  }

  /** The same as long as git gives the same paths for all work trees that it was asked for. */
  async digest(): Promise<string> {
    const hash = createHash('sha256');
    for (const path of [...this.#listings.keys()].sort()) {
      const { cached, others } = await this.#listings.get(path)!;
      hash.update(`${path}\0${cached.length} ${others.length}\0`).update(cached).update(others);
    }
    return hash.digest('hex');
  }

  /** Those of the paths, relative to the top, that no repository tracks. */
  async untrackedAmong(top: string, paths: readonly FilePath[]): Promise<FilePath[]> {
    const candidates = new Set(paths);
    const found: FilePath[] = [];
    for (const [path, listing] of this.#listings) {
      const prefix = path === top ? '' : Buffer.from(`${relative(top, path)}/`).toString('latin1');
      for (const other of splitPaths((await listing).others))
        if (candidates.has(prefix + other)) found.push(prefix + other);
    }
    return found;
  }

  async #ask(tree: WorkTree): Promise<RawListing> {
    if (tree.repository) await this.#bringSharedIndex(tree.repository);
    const cached = tree.repository ? this.#run(tree, ['--cached']) : Buffer.alloc(0);
    const [others] = await Promise.all([this.#askOthers(tree), cached]);
    return { cached: await cached, others };
  }

  async #askOthers(tree: WorkTree): Promise<Buffer> {
    const args = ['--others', '--exclude-per-directory=.gitignore'];
    const info = tree.repository ? [join(tree.repository.commonDir, 'info/exclude')] : [];
    for (const file of [this.#excludesFile, ...info]) if (await isFile(file)) args.push(`--exclude-from=${file}`);
    return this.#run(tree, args);
  }

  async #run({ path, repository, only }: WorkTree, args: string[]): Promise<Buffer> {
    const indexFile = repository ? join(repository.gitDir, 'index') : join(this.#gitDir, 'no-index');
    const call = { gitDir: this.#gitDir, workTree: path, indexFile };
    const paths = only ? ['--', only] : [];
    const { code, stdout, stderr } = await this.#git.run(call, 'ls-files', '-z', ...args, ...paths);
    if (code !== 0) throw new GitError(['ls-files'], code, stderr);
    // git passes over a folder that it may not read; then the snapshot would silently lack it.
    const closed = /could not open directory '(.*)'/.exec(stderr)?.[1];
    if (closed !== undefined) throw unreadable(closed);
    return stdout;
  }

  /** The other half of a split index is looked for beside HEAD. */
  async #bringSharedIndex({ gitDir }: GitRepository): Promise<void> {
    for (const name of await readdir(gitDir))
      if (name.startsWith('sharedindex.')) await copyFile(join(gitDir, name), join(this.#gitDir, name));
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
    if (code === 'EACCES') throw unreadable(folder.toString());
    throw error;
  }
}

function unreadable(folder: string): CiError {
  return new CiError('invalid', `Cannot take snapshot as a folder may not be read: ${quote(folder)}`);
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() ?? false;
}
