import { createHash } from 'node:crypto';
import { copyFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { CiError } from '../../shared/errors.ts';
import { quote } from '../../shared/ids.ts';
import { allDone } from './all-done.ts';
import { fileSignature } from './file-signature.ts';
import { type Git, type GitCall, GitError } from './git.ts';
import type { GitRepository } from './git-repository.ts';

export interface WorkTree {
  readonly path: string;
  readonly repository: GitRepository | undefined;
  /** Only what lies under this folder: empty, or ending with /. */
  readonly only: string;
}

/** By what one can tell that git would list the same paths again. */
export interface ListsDigest {
  /** The signature of the user's index, taken before it was read. */
  readonly index: string;
  readonly tracked: string;
  readonly untracked: string;
}

export interface ListingPlace {
  /** Our own: the user's repository is read through it, so that its settings count for nothing. */
  readonly gitDir: string;
  /** An ignore file to use instead of the user's own. */
  readonly excludesFile?: string | undefined;
}

/** What git lists in one work tree: paths, each ended by a NUL. It is asked once, when first something is wanted of it. */
export class WorkTreeLists {
  readonly #git: Git;
  readonly #place: ListingPlace;
  readonly #tree: WorkTree;
  #untracked: Promise<Buffer> | undefined;
  #tracked: Promise<Buffer> | undefined;
  #index: Promise<string> | undefined;
  #broughtIndex: Promise<void> | undefined;

  constructor(git: Git, place: ListingPlace, tree: WorkTree) {
    this.#git = git;
    this.#place = place;
    this.#tree = tree;
  }

  /** Files that no index knows and no rule leaves out, and repositories, which end with /. */
  untracked(): Promise<Buffer> {
    this.#untracked ??= handled(this.#askUntracked());
    return this.#untracked;
  }

  /** What the user's index knows. */
  tracked(): Promise<Buffer> {
    this.#tracked ??= handled(this.#askTracked());
    return this.#tracked;
  }

  /** Whether they are as they were. An index that nobody wrote is not asked what it knows. */
  async isSame({ index, tracked, untracked }: ListsDigest): Promise<boolean> {
    const [others, isTrackedSame] = await allDone([
      this.untracked(),
      this.#indexSignature().then(async now => now === index || digestOf(await this.tracked()) === tracked),
    ]);
    return isTrackedSame && digestOf(others) === untracked;
  }

  /** @param known what they are the same as: then it need not be asked what the index knows */
  async digest(known?: ListsDigest): Promise<ListsDigest> {
    const index = await this.#indexSignature();
    const tracked = known?.index === index ? known.tracked : digestOf(await this.tracked());
    return { index, tracked, untracked: digestOf(await this.untracked()) };
  }

  #indexSignature(): Promise<string> {
    const { repository } = this.#tree;
    this.#index ??= repository ? fileSignature(join(repository.gitDir, 'index')) : Promise.resolve('none');
    return this.#index;
  }

  async #askTracked(): Promise<Buffer> {
    if (!this.#tree.repository) return Buffer.alloc(0);
    await this.#indexSignature();
    await this.#sharedIndex();
    return this.#run({}, '--cached');
  }

  async #askUntracked(): Promise<Buffer> {
    const { repository } = this.#tree;
    await this.#sharedIndex();
    const info = repository && join(repository.commonDir, 'info/exclude');
    const excluded = info !== undefined && (await isFile(info)) ? [`--exclude-from=${info}`] : [];
    const { excludesFile } = this.#place;
    const config = excludesFile === undefined ? {} : { 'core.excludesFile': excludesFile };
    return this.#run({ config, withUserSettings: true }, '--others', '--exclude-standard', ...excluded);
  }

  async #run(how: Pick<GitCall, 'config' | 'withUserSettings'>, ...args: string[]): Promise<Buffer> {
    const { path, repository, only } = this.#tree;
    const { gitDir } = this.#place;
    const indexFile = repository ? join(repository.gitDir, 'index') : join(gitDir, 'no-index');
    const call = { ...how, gitDir, workTree: path, indexFile };
    const paths = only ? ['--', only] : [];
    const { code, stdout, stderr } = await this.#git.run(call, 'ls-files', '-z', ...args, ...paths);
    if (code !== 0) throw new GitError(['ls-files'], code, stderr);
    // git passes over a folder that it may not read; then the snapshot would silently lack it.
    const closed = /could not open directory '(.*)'/.exec(stderr)?.[1];
    if (closed !== undefined) throw unreadableFolder(closed);
    return stdout;
  }

  #sharedIndex(): Promise<void> {
    this.#broughtIndex ??= this.#bringSharedIndex();
    return this.#broughtIndex;
  }

  /** The other half of a split index is looked for beside HEAD. */
  async #bringSharedIndex(): Promise<void> {
    const { repository } = this.#tree;
    if (!repository) return;
    for (const name of await readdir(repository.gitDir))
      if (name.startsWith('sharedindex.'))
        await copyFile(join(repository.gitDir, name), join(this.#place.gitDir, name));
  }
}

export function unreadableFolder(folder: string): CiError {
  return new CiError('invalid', `Cannot take snapshot as a folder may not be read: ${quote(folder)}`);
}

function digestOf(list: Buffer): string {
  return createHash('sha256').update(list).digest('hex');
}

/** It may fail before anybody waits for it: whoever does will see. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() ?? false;
}
