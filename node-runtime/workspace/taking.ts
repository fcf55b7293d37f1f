import { readFile, writeFile } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { allDone } from './all-done.ts';
import { type FilePath, lookAt, showPath } from './file-path.ts';
import type { Workspace } from './find-workspace.ts';
import type { Git, GitPlace } from './git.ts';
import { type ObjectFormat, writeAlternates } from './git-dir.ts';
import { type GitRepository, repositoryAt } from './git-repository.ts';
import { type FileList, FileLister, type TreeDigests } from './list-files.ts';
import { type Counts, countsOf, type Index, type IndexSummary, readIndex, summarizeIndex } from './read-index.ts';
import type { Content, Listing, Scratch, ScratchState } from './scratch.ts';
import { findSecrets, type SecretFile } from './secret-scan.ts';
import { findChanges, restoreModes, updateChanged, updateIndex } from './update-index.ts';
import { type Head, readFormat, readHead, readSettings, type RepositorySettings } from './user-repository.ts';
import type { WorkTree } from './work-tree-lists.ts';
import { writeCommit } from './write-commit.ts';

/** The exact content of a workspace at one moment, as a git commit in our own git directory. Nothing has been sent yet. */
export interface Taken {
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
}

type Place = Required<GitPlace> & Pick<RepositorySettings, 'config'>;
type CurrentState = ScratchState & { readonly last: Content };

/** The files that the index knows, as they lie now. */
interface KnownFiles {
  readonly isChanged: boolean;
  readonly touched: readonly FilePath[];
  /** Those that are no files any more. */
  readonly absent: readonly FilePath[];
  /** What the index is now. Absent: it was not worth a look before files that have come are in it as well. */
  readonly now?: { readonly index: IndexSummary; readonly content: Content };
}

/** With more of them it is quicker to list all files anew than to look whether one of these has come back. */
const MAX_ABSENT = 2000;
/** For snapshots without a HEAD: the same files give the same commit on every day. */
const FIXED_DATE = '1000000000 +0000';

/** One taking of a snapshot, with the lock held. */
export class Taking {
  readonly #repository: GitRepository | undefined;
  readonly #scratch: Scratch;
  readonly #git: Git;
  readonly #tree: WorkTree;

  constructor({ git: repository, root }: Workspace, scratch: Scratch, git: Git) {
    this.#repository = repository;
    this.#scratch = scratch;
    this.#git = git;
    const path = repository?.toplevel ?? root;
    const inside = relative(path, root).replaceAll(sep, '/');
    this.#tree = { path, repository, only: inside === '' ? '' : `${inside}/` };
  }

  async take(): Promise<Taken> {
    const settings = await readSettings(this.#git, this.#repository, (await this.#scratch.remembered())?.settings);
    const state = await this.#open(settings);
    const place = { ...this.#place, config: settings.config };
    await this.#readFrom(state.listing?.nested ?? [], settings.format);
    const { excludesFile } = settings;
    const lister = new FileLister(this.#git, { gitDir: this.#scratch.gitDir, excludesFile });
    // All at once: git compares on all cores, but lists and writes its index on one.
    const [known, isSame, head] = await allDone([
      this.#updateKnown(state, place),
      this.#hasSameFiles(lister, state),
      settings.isPartial ? undefined : this.#head(state),
    ]);
    const now =
      isSame && state.last
        ? await this.#takeKnown({ ...state, last: state.last }, lister, known)
        : await this.#takeAll(state, place, lister, known);
    return this.#finish(now, head);
  }

  get #place(): Required<GitPlace> {
    return { gitDir: this.#scratch.gitDir, workTree: this.#tree.path, indexFile: this.#scratch.indexFile };
  }

  /** What is remembered counts only for the very index that it was written down for. */
  async #open(settings: RepositorySettings): Promise<ScratchState> {
    const state = await this.#scratch.open(settings);
    if (!state.last) await this.#git.checkVersion();
    if (state.last?.index === (await this.#scratch.indexSignature())) return state;
    return { v: 2, settings, sent: state.sent, secrets: {} };
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
  async #head({ committed }: ScratchState): Promise<Head | undefined> {
    if (!this.#repository || this.#tree.only !== '') return undefined;
    const head = await readHead(this.#git, this.#place, this.#repository, committed?.head);
    if (head?.hasParents) await this.#leaveParentsBehind(head.commit);
    return head;
  }

  async #leaveParentsBehind(commit: string): Promise<void> {
    const path = join(this.#scratch.gitDir, 'shallow');
    const known = await readFile(path, 'utf8').catch(() => '');
    if (!known.includes(commit)) await writeFile(path, `${known}${commit}\n`);
  }

  /** Most edits bring no file, so the tree is written before that is known. */
  async #updateKnown({ listing, settings }: ScratchState, place: Place): Promise<KnownFiles> {
    const { changed, gone } = await findChanges(this.#git, place);
    const { isChanged, dropped } = await updateChanged(this.#git, place, { changed, gone });
    const known = { isChanged, touched: [...changed, ...gone], absent: [...gone, ...dropped] };
    if (!isChanged || !listing) return known;
    const summary = summarizeIndex(place.indexFile, settings.format, changed);
    const [index, content] = await allDone([summary, this.#readContent(summary)]);
    return { ...known, now: { index, content } };
  }

  /** Whether no file came or went since the last time, but those that the index knows: then only changes need a look. */
  async #hasSameFiles(lister: FileLister, { listing, trees = {} }: ScratchState): Promise<boolean> {
    if (!listing) return false;
    const isSame = await allDone([
      lister.isSame(this.#tree, trees[this.#tree.path]),
      this.#haveSameFiles(lister, listing.nested, trees),
    ]);
    if (isSame.includes(false)) return false;
    for (const path of listing.absent) if (await this.#isThere(path)) return false;
    return true;
  }

  /** One after another: there may be many. */
  async #haveSameFiles(lister: FileLister, nested: readonly GitRepository[], trees: TreeDigests): Promise<boolean> {
    for (const repository of nested) {
      const path = repository.toplevel;
      if (!isDeepStrictEqual(await repositoryAt(path), repository)) return false;
      if (!(await lister.isSame({ path, repository, only: '' }, trees[path]))) return false;
    }
    return true;
  }

  async #isThere(path: FilePath): Promise<boolean> {
    const info = lookAt(this.#tree.path, path);
    if (info?.isDirectory()) return (await repositoryAt(join(this.#tree.path, showPath(path)))) !== undefined;
    return info?.isFile() === true || info?.isSymbolicLink() === true;
  }

  async #takeKnown(state: CurrentState, lister: FileLister, known: KnownFiles): Promise<CurrentState> {
    const trees = await lister.digests(state.trees);
    if (!known.now) return { ...state, trees };
    const { index, content } = known.now;
    const touched = new Set(known.touched);
    const kept = Object.entries(state.secrets).filter(([path]) => !touched.has(path));
    const untracked = await lister.untrackedAmong(this.#tree.path, known.touched);
    const secrets = { ...Object.fromEntries(kept), ...findSecrets(this.#tree.path, untracked, index.entries) };
    const { nested, absent } = state.listing!;
    const listing = worthwhile({ nested, absent: [...absent, ...known.absent] });
    return { ...state, last: content, trees, secrets, listing };
  }

  async #takeAll(state: ScratchState, place: Place, lister: FileLister, known: KnownFiles): Promise<CurrentState> {
    const { format } = state.settings;
    const before = await readIndex(place.indexFile, format);
    const files = await lister.list(this.#tree, path => before.has(path));
    await this.#readFrom(files.nested, format);
    const { isChanged, dropped } = await updateIndex(this.#git, place, before, files);
    const isSame = !isChanged && !known.isChanged;
    if (!isSame && this.#repository)
      await restoreModes(this.#git, place, join(this.#repository.gitDir, 'index'), files);
    const reading = isSame ? Promise.resolve(before) : readIndex(place.indexFile, format);
    const content = isSame && state.last ? state.last : this.#readContent(reading.then(countsOf));
    const [index, last] = await allDone([reading, content]);
    const trees = await lister.digests();
    const scanned = new Map(hasSameTracked(trees, state.trees) ? before : []);
    for (const path of known.touched) scanned.delete(path);
    const listing = { nested: files.nested, absent: [...files.absent, ...known.absent, ...dropped] };
    const secrets = this.#secretsOf(files, scanned, index, state.secrets);
    return { ...state, last, trees, secrets, listing: worthwhile(listing) };
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

  /** What the index makes. It is counted at the same time: git replaces the file, so what is read of it is whole. */
  async #readContent(counting: Promise<Counts>): Promise<Content> {
    const [{ files, bytes }, tree] = await allDone([counting, this.#writeTree(counting)]);
    // After the tree: git writes down in the index which trees it made.
    return { index: await this.#scratch.indexSignature(), tree, files, bytes };
  }

  async #writeTree(counting: Promise<Counts>): Promise<string> {
    if (this.#tree.only === '') return this.#git.text(this.#place, 'write-tree');
    if ((await counting).files === 0) return this.#git.text(this.#place, 'hash-object', '-t', 'tree', '-w', '--stdin');
    return this.#git.text(this.#place, 'write-tree', `--prefix=${this.#tree.only}`);
  }

  async #finish(state: CurrentState, head: Head | undefined): Promise<Taken> {
    const { tree, files, bytes } = state.last;
    const known = state.committed;
    const isKnown = known?.tree === tree && known.head?.commit === head?.commit;
    const commit = isKnown ? known.commit : await this.#commit(tree, head, state.settings.format);
    await this.#scratch.save({ ...state, committed: { tree, head, commit } });
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

  #commit(tree: string, head: Head | undefined, format: ObjectFormat): Promise<string> {
    const who = `Simple CI <simple-ci@localhost> ${head?.date ?? FIXED_DATE}`;
    const parent = head ? `parent ${head.commit}\n` : '';
    const text = `tree ${tree}\n${parent}author ${who}\ncommitter ${who}\n\nSnapshot of the workspace\n`;
    return writeCommit(this.#scratch.gitDir, format, text);
  }
}

/** Else files may be untracked now that were not before. */
function hasSameTracked(now: TreeDigests, before: TreeDigests | undefined): boolean {
  const tracked = (trees: TreeDigests) =>
    Object.entries(trees)
      .map(([path, lists]) => [path, lists.tracked])
      .sort();
  return before !== undefined && isDeepStrictEqual(tracked(now), tracked(before));
}

function worthwhile(listing: Listing): Listing | undefined {
  return listing.absent.length <= MAX_ABSENT ? listing : undefined;
}
