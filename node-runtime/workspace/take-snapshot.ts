import { readFile, writeFile } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { CiError } from '../../shared/errors.ts';
import { quote } from '../../shared/ids.ts';
import { type Clock, systemClock } from '../system/clock.ts';
import { type FilePath, lookAt, showPath } from './file-path.ts';
import type { Workspace } from './find-workspace.ts';
import { Git, GitError, type GitPlace, type UserEnvironment } from './git.ts';
import { type ObjectFormat, writeAlternates } from './git-dir.ts';
import { type GitRepository, repositoryAt } from './git-repository.ts';
import { type FileList, FileLister, type WorkTree } from './list-files.ts';
import { type Index, readIndex } from './read-index.ts';
import { type Content, fileSignature, type Listing, Scratch, type ScratchState } from './scratch.ts';
import { findSecrets, type SecretFile } from './secret-scan.ts';
import { findChanges, type IndexChanges, restoreModes, updateChanged, updateIndex } from './update-index.ts';
import { type Head, readFormat, readHead, readUserSettings, type UserSettings } from './user-repository.ts';

export interface SnapshotOptions {
  /** Where what is remembered between snapshots lies; any number of workspaces share it. */
  readonly cacheDir: string;
  readonly env: UserEnvironment;
  readonly signal: AbortSignal;
  readonly clock?: Clock;
}

/** The exact content of a workspace at one moment, as a git commit in our own git directory. Nothing has been sent yet. */
export interface Snapshot {
  /** The same files on the same HEAD have the same commit. */
  readonly commit: string;
  readonly tree: string;
  /** The user's real commit, the parent of the snapshot. Absent: none yet, no repository, or only a part of one. */
  readonly head?: string;
  /** Commits whose parents are left behind. */
  readonly shallow: readonly string[];
  readonly files: number;
  /** Of all files together. A file above 4 GiB counts with what is left of its size modulo 4 GiB. */
  readonly bytes: number;
  /** Untracked files that look as if they held secrets. Whether they may go is the caller's to decide. */
  readonly secrets: readonly SecretFile[];
  readonly scratch: Scratch;
  /** Takes it again, when what was remembered of it turns out to be damaged. */
  readonly retake: () => Promise<Snapshot>;
}

/**
 * Takes a snapshot: staged, unstaged and untracked files as they lie in the folder, without ignored ones. The user's index,
 * refs and files are left as they are, and no program is run that his repository names: no hook, filter or file system monitor.
 *
 * Each file is read whole at some moment; a folder that changes meanwhile is caught in between. Empty folders, sockets and
 * devices are no part of a snapshot. Rejects with `invalid` for a file that cannot be read, or that git would never check out.
 */
export async function takeSnapshot(workspace: Workspace, options: SnapshotOptions): Promise<Snapshot> {
  const { cacheDir, env, signal, clock = systemClock } = options;
  const git = new Git(env, signal);
  const scratch = Scratch.of(cacheDir, workspace);
  using _lock = await scratch.lock(clock, signal);
  const taking = new Taking(workspace, scratch, git, env);
  const retake = () => takeSnapshot(workspace, options);
  try {
    return { ...(await taking.take()), retake };
  } catch (error) {
    if (signal.aborted || error instanceof CiError) throw error;
  }
  // What we remembered is damaged, or leans on objects that the user's repository has dropped: once more, from nothing.
  await scratch.reset();
  try {
    return { ...(await taking.take()), retake };
  } catch (error) {
    throw error instanceof GitError ? cannotTake(workspace, error) : error;
  }
}

function cannotTake(workspace: Workspace, cause: GitError): CiError {
  return new CiError('invalid', `Cannot take snapshot of ${quote(workspace.root)} as ${cause.message}`, { cause });
}

type Taken = Omit<Snapshot, 'retake'>;
type Place = Required<GitPlace> & Pick<UserSettings, 'config'>;
type CurrentState = ScratchState & { readonly last: Content };

/** With more of them it is quicker to list all files anew than to look whether one of these has come back. */
const MAX_ABSENT = 2000;
/** For snapshots without a HEAD: the same files give the same commit on every day. */
const FIXED_DATE = '1000000000 +0000';

/** One taking of a snapshot, with the lock held. */
class Taking {
  readonly #repository: GitRepository | undefined;
  readonly #scratch: Scratch;
  readonly #git: Git;
  readonly #env: UserEnvironment;
  readonly #tree: WorkTree;

  constructor({ git: repository, root }: Workspace, scratch: Scratch, git: Git, env: UserEnvironment) {
    this.#repository = repository;
    this.#scratch = scratch;
    this.#git = git;
    this.#env = env;
    const path = repository?.toplevel ?? root;
    const inside = relative(path, root).replaceAll(sep, '/');
    this.#tree = { path, repository, only: inside === '' ? '' : `${inside}/` };
  }

  async take(): Promise<Taken> {
    const settings = await readUserSettings(this.#git, this.#env, this.#repository);
    const state = await this.#open(settings.format);
    const place = { ...this.#place, config: settings.config };
    await this.#readFrom(state.listing?.nested ?? [], settings.format);
    const lister = new FileLister(this.#git, this.#scratch.gitDir, settings.excludesFile);
    const [isSame, changes, head] = await Promise.all([
      this.#hasSameFiles(lister, state),
      findChanges(this.#git, place),
      settings.isPartial ? undefined : this.#head(),
    ]);
    const now =
      isSame && state.last
        ? await this.#takeChanged({ ...state, last: state.last }, place, lister, changes)
        : await this.#takeAll(state, place, lister, changes);
    return this.#finish(now, head);
  }

  get #place(): Required<GitPlace> {
    return { gitDir: this.#scratch.gitDir, workTree: this.#tree.path, indexFile: this.#scratch.indexFile };
  }

  /** What is remembered counts only for the very index that it was written down for. */
  async #open(format: ObjectFormat): Promise<ScratchState> {
    const state = await this.#scratch.open(format);
    if (!state.last) await this.#git.checkVersion();
    if (state.last?.index === (await this.#scratch.indexSignature())) return state;
    return { v: 1, format, sent: state.sent, secrets: {} };
  }

  /** Lets our git directory read the objects of the user's repositories: HEAD's, and every file that did not change. */
  async #readFrom(nested: readonly GitRepository[], format: ObjectFormat): Promise<void> {
    const readable = this.#repository ? [this.#repository] : [];
    for (const repository of nested)
      if ((await readFormat(this.#git, repository)) === format) readable.push(repository);
    const folders = readable.map(({ commonDir }) => join(commonDir, 'objects'));
    await writeAlternates(this.#scratch.gitDir, folders);
  }

  /** Undefined if the workspace is not all of a repository: its HEAD has other files. */
  async #head(): Promise<Head | undefined> {
    if (!this.#repository || this.#tree.only !== '') return undefined;
    const head = await readHead(this.#git, this.#place, this.#repository);
    if (head?.hasParents) await this.#leaveParentsBehind(head.commit);
    return head;
  }

  async #leaveParentsBehind(commit: string): Promise<void> {
    const path = join(this.#scratch.gitDir, 'shallow');
    const known = await readFile(path, 'utf8').catch(() => '');
    if (!known.includes(commit)) await writeFile(path, `${known}${commit}\n`);
  }

  /** Whether no file came or went since the last time, but those that the index knows: then only changes need a look. */
  async #hasSameFiles(lister: FileLister, { listing }: ScratchState): Promise<boolean> {
    const asked = lister.ask(this.#tree);
    for (const repository of listing?.nested ?? []) {
      if (!isDeepStrictEqual(await repositoryAt(repository.toplevel), repository)) return false;
      await lister.ask({ path: repository.toplevel, repository, only: '' });
    }
    await asked;
    if (!listing || (await lister.digest()) !== listing.digest) return false;
    for (const path of listing.absent) if (await this.#isThere(path)) return false;
    return true;
  }

  async #isThere(path: FilePath): Promise<boolean> {
    const info = lookAt(this.#tree.path, path);
    if (info?.isDirectory()) return (await repositoryAt(join(this.#tree.path, showPath(path)))) !== undefined;
    return info?.isFile() === true || info?.isSymbolicLink() === true;
  }

  async #takeChanged(
    state: CurrentState,
    place: Place,
    lister: FileLister,
    changes: IndexChanges,
  ): Promise<CurrentState> {
    const { isChanged, dropped } = await updateChanged(this.#git, place, changes);
    if (!isChanged) return state;
    const [[index, last], untracked] = await Promise.all([
      this.#readContent(state.format),
      lister.untrackedAmong(this.#tree.path, changes.changed),
    ]);
    const touched = new Set([...changes.changed, ...changes.gone]);
    const kept = Object.entries(state.secrets).filter(([path]) => !touched.has(path));
    const secrets = { ...Object.fromEntries(kept), ...findSecrets(this.#tree.path, untracked, index) };
    const { digest, nested, absent } = state.listing!;
    return {
      ...state,
      last,
      secrets,
      listing: worthwhile({ digest, nested, absent: [...absent, ...changes.gone, ...dropped] }),
    };
  }

  async #takeAll(state: ScratchState, place: Place, lister: FileLister, changes: IndexChanges): Promise<CurrentState> {
    const before = await readIndex(this.#scratch.indexFile, state.format);
    const files = await lister.list(this.#tree, path => before.has(path));
    await this.#readFrom(files.nested, state.format);
    const { isChanged, dropped } = await updateIndex(this.#git, place, before, files, changes);
    if (isChanged && this.#repository)
      await restoreModes(this.#git, place, join(this.#repository.gitDir, 'index'), files);
    const userIndexes = await this.#userIndexes(files.nested);
    const [index, last] = state.last && !isChanged ? [before, state.last] : await this.#readContent(state.format);
    const scanned = state.last && state.userIndexes === userIndexes ? before : new Map();
    const listing = {
      digest: await lister.digest(),
      nested: files.nested,
      absent: [...files.absent, ...changes.gone, ...dropped],
    };
    const secrets = this.#secretsOf(files, scanned, index, state.secrets);
    return { ...state, last, userIndexes, secrets, listing: worthwhile(listing) };
  }

  /** @param scanned the files that `known` was found among: they are read again only if they changed */
  #secretsOf({ untracked }: FileList, scanned: Index, index: Index, known: ScratchState['secrets']) {
    const isScanned = (path: FilePath) => index.has(path) && scanned.get(path)?.oid === index.get(path)?.oid;
    const fresh = untracked.filter(path => !isScanned(path));
    const kept = untracked.filter(path => known[path] !== undefined && isScanned(path));
    return {
      ...Object.fromEntries(kept.map(path => [path, known[path]!])),
      ...findSecrets(this.#tree.path, fresh, index),
    };
  }

  /** Changes when a file may have become untracked that was not before. */
  async #userIndexes(nested: readonly GitRepository[]): Promise<string> {
    const repositories = [...(this.#repository ? [this.#repository] : []), ...nested];
    const signatures = repositories.map(({ gitDir }) => fileSignature(join(gitDir, 'index')));
    return (await Promise.all(signatures)).join(', ');
  }

  /** The index as it is now and the tree it makes, at once: git replaces the file, so what we read is whole. */
  async #readContent(format: ObjectFormat): Promise<[Index, Content]> {
    const reading = readIndex(this.#scratch.indexFile, format);
    const [index, tree] = await Promise.all([reading, this.#writeTree(reading)]);
    let bytes = 0;
    for (const { size } of index.values()) bytes += size;
    // After the tree: git writes down in the index which trees it made.
    return [index, { index: await this.#scratch.indexSignature(), tree, files: index.size, bytes }];
  }

  async #writeTree(index: Promise<Index>): Promise<string> {
    if (this.#tree.only === '') return this.#git.text(this.#place, 'write-tree');
    if ((await index).size === 0) return this.#git.text(this.#place, 'hash-object', '-t', 'tree', '-w', '--stdin');
    return this.#git.text(this.#place, 'write-tree', `--prefix=${this.#tree.only}`);
  }

  async #finish(state: CurrentState, head: Head | undefined): Promise<Taken> {
    const { tree, files, bytes } = state.last;
    const known = state.committed;
    const isKnown = known?.tree === tree && known.head === head?.commit;
    const commit = isKnown ? known.commit : await this.#commit(tree, head);
    await this.#scratch.save({ ...state, committed: { tree, head: head?.commit, commit } });
    return {
      commit,
      tree,
      shallow: head?.hasParents ? [head.commit] : [],
      files,
      bytes,
      secrets: Object.entries(state.secrets).map(([path, why]) => ({ path: showPath(path), why })),
      scratch: this.#scratch,
      ...(head && { head: head.commit }),
    };
  }

  #commit(tree: string, head: Head | undefined): Promise<string> {
    const who = `Simple CI <simple-ci@localhost> ${head?.date ?? FIXED_DATE}`;
    const parent = head ? `parent ${head.commit}\n` : '';
    const input = `tree ${tree}\n${parent}author ${who}\ncommitter ${who}\n\nSnapshot of the workspace\n`;
    return this.#git.text({ ...this.#place, input }, 'hash-object', '-t', 'commit', '-w', '--stdin');
  }
}

function worthwhile(listing: Listing): Listing | undefined {
  return listing.absent.length <= MAX_ABSENT ? listing : undefined;
}
export { refuseSecrets, type SecretFile } from './secret-scan.ts';
