import { readFile, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, relative, sep } from 'node:path';
import { CiError } from '../../shared/errors.ts';
import { quote } from '../../shared/ids.ts';
import { type Clock, systemClock } from '../system/clock.ts';
import { showPath } from './file-path.ts';
import type { Workspace } from './find-workspace.ts';
import { Git, GitError, type UserEnvironment } from './git.ts';
import { type ObjectFormat, writeAlternates } from './git-dir.ts';
import type { GitRepository } from './git-repository.ts';
import { type FileList, listFiles } from './list-files.ts';
import { type Index, readIndex } from './read-index.ts';
import { fileSignature, Scratch, type ScratchState } from './scratch.ts';
import { findSecrets } from './secret-scan.ts';
import { findChanges, updateIndex } from './update-index.ts';

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

export interface SecretFile {
  readonly path: string;
  /** As in "it is named like a private key". */
  readonly why: string;
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

/** Refuses to send files that look as if they held secrets. */
export function refuseSecrets(secrets: readonly SecretFile[]): void {
  if (secrets.length === 0) return;
  const list = secrets.slice(0, 10).map(({ path, why }) => `${quote(path)} (${why})`);
  const more = secrets.length > 10 ? ` and ${secrets.length - 10} more` : '';
  throw new CiError(
    'invalid',
    `Cannot send workspace as untracked files look like secrets: ${list.join(', ')}${more}. Ignore them by .gitignore, or allow them with --allow-secrets`,
  );
}

function cannotTake(workspace: Workspace, cause: GitError): CiError {
  return new CiError('invalid', `Cannot take snapshot of ${quote(workspace.root)} as ${cause.message}`, { cause });
}

interface Head {
  readonly commit: string;
  readonly hasParents: boolean;
  /** `1764000000 +0100` */
  readonly date: string;
}

interface RepositorySettings {
  readonly format: ObjectFormat;
  readonly isPartial: boolean;
  readonly config: Readonly<Record<string, string>>;
  readonly excludesFile?: string;
}

/** Settings of the user's repository that say how its file system behaves; none of them can name a program. */
const HARMLESS = ['core.filemode', 'core.ignorecase', 'core.symlinks', 'core.precomposeunicode'] as const;

class Taking {
  readonly #workspace: Workspace;
  readonly #scratch: Scratch;
  readonly #git: Git;
  readonly #env: UserEnvironment;
  readonly #workTree: string;
  /** The workspace's folder within the work tree: empty, or ending with /. */
  readonly #only: string;

  constructor(workspace: Workspace, scratch: Scratch, git: Git, env: UserEnvironment) {
    this.#workspace = workspace;
    this.#scratch = scratch;
    this.#git = git;
    this.#env = env;
    this.#workTree = workspace.git?.toplevel ?? workspace.root;
    const inside = relative(this.#workTree, workspace.root).replaceAll(sep, '/');
    this.#only = inside === '' ? '' : `${inside}/`;
  }

  async take(): Promise<Omit<Snapshot, 'retake'>> {
    const { git } = this.#workspace;
    const [settings, userExcludes] = await Promise.all([this.#settings(git), this.#userExcludes()]);
    const state = await this.#open(settings.format);
    await this.#readFrom(git ? [git] : [], settings.format);
    const place = { ...this.#place, config: settings.config };
    const isRemembered = state.last?.index === (await this.#scratch.indexSignature());
    const reading = readIndex(this.#scratch.indexFile, settings.format);
    const [files, before, changes, head] = await Promise.all([
      this.#list(reading, settings.excludesFile ?? userExcludes),
      reading,
      findChanges(this.#git, place),
      git && this.#only === '' && !settings.isPartial ? this.#head(git) : undefined,
    ]);
    if (files.nested.length > 0) await this.#readFrom([...(git ? [git] : []), ...files.nested], settings.format);
    const isChanged = await updateIndex(this.#git, place, before, files, changes);
    const userIndexes = await userIndexSignature([...(git ? [git] : []), ...files.nested]);
    const scanned = isRemembered && state.userIndexes === userIndexes ? before : new Map();
    const last = isRemembered && !isChanged ? state.last : undefined;
    return this.#finish({ ...state, userIndexes, last }, before, scanned, files, head);
  }

  async #open(format: ObjectFormat): Promise<ScratchState> {
    const state = await this.#scratch.open(format);
    if (!state.last) await this.#git.checkVersion();
    return state;
  }

  get #place() {
    return { gitDir: this.#scratch.gitDir, workTree: this.#workTree, indexFile: this.#scratch.indexFile };
  }

  async #settings(repository: GitRepository | undefined): Promise<RepositorySettings> {
    if (!repository) return { format: 'sha1', isPartial: false, config: {} };
    const settings = await this.#git.settings(join(repository.commonDir, 'config'));
    const config = Object.fromEntries(
      HARMLESS.flatMap(name => (settings.has(name) ? [[name, settings.get(name)!]] : [])),
    );
    const excludes = settings.get('core.excludesfile');
    return {
      format: settings.get('extensions.objectformat') === 'sha256' ? 'sha256' : 'sha1',
      isPartial: settings.has('extensions.partialclone'),
      config,
      ...(excludes !== undefined && { excludesFile: excludes.replace(/^~\//, `${this.#home}/`) }),
    };
  }

  get #home(): string {
    return this.#env.HOME ?? homedir();
  }

  async #userExcludes(): Promise<string> {
    const own = await this.#git.userPath('core.excludesFile');
    return own ?? join(this.#env.XDG_CONFIG_HOME || join(this.#home, '.config'), 'git/ignore');
  }

  /** Lets our git directory read the objects of the user's repositories: HEAD's, and every file that did not change. */
  async #readFrom(repositories: readonly GitRepository[], format: ObjectFormat): Promise<void> {
    const folders: string[] = [];
    for (const [index, { commonDir }] of repositories.entries()) {
      if (index > 0 && (await this.#formatOf(commonDir)) !== format) continue;
      folders.push(join(commonDir, 'objects'));
    }
    await writeAlternates(this.#scratch.gitDir, folders);
  }

  async #formatOf(commonDir: string): Promise<string> {
    return (await this.#git.settings(join(commonDir, 'config'))).get('extensions.objectformat') ?? 'sha1';
  }

  #list(before: Promise<Index>, excludesFile: string): Promise<FileList> {
    const { gitDir } = this.#scratch;
    const isKnown = before.then(index => (path: string) => index.has(path));
    const context = { git: this.#git, gitDir, excludesFile, isKnown };
    return listFiles(context, { path: this.#workTree, repository: this.#workspace.git, only: this.#only });
  }

  /** Undefined before the first commit, and when the commit is not there. */
  async #head({ gitDir }: GitRepository): Promise<Head | undefined> {
    const name = await this.#git.run({ gitDir }, 'rev-parse', '--verify', '--quiet', 'HEAD');
    const commit = name.stdout.toString().trim();
    if (name.code !== 0 || commit === '') return undefined;
    const { code, stdout } = await this.#git.run(this.#place, 'cat-file', 'commit', commit);
    if (code !== 0) return undefined;
    const header = stdout.toString().split('\n\n', 1)[0] ?? '';
    const date = /^committer .*> (-?\d+ [+-]\d{4})$/m.exec(header)?.[1] ?? FIXED_DATE;
    const head = { commit, hasParents: /^parent /m.test(header), date };
    if (head.hasParents) await this.#leaveParentsBehind(commit);
    return head;
  }

  async #leaveParentsBehind(commit: string): Promise<void> {
    const path = join(this.#scratch.gitDir, 'shallow');
    const known = await readFile(path, 'utf8').catch(() => '');
    if (!known.includes(commit)) await writeFile(path, `${known}${commit}\n`);
  }

  /**
   * @param state its `last` is what the index still is, undefined if it has changed
   * @param scanned what was looked through for secrets when the last snapshot was taken
   */
  async #finish(
    state: ScratchState,
    before: Index,
    scanned: Index,
    files: FileList,
    head: Head | undefined,
  ): Promise<Omit<Snapshot, 'retake'>> {
    const [after, tree] = state.last ? [before, state.last.tree] : await this.#readTree(state.format);
    const { untracked } = files;
    const secrets = findSecrets({ workTree: this.#workTree, before: scanned, after, untracked, known: state.secrets });
    const same = state.last?.head === head?.commit ? state.last : undefined;
    const last = {
      ...(state.last ?? { ...total(after), index: await this.#scratch.indexSignature(), tree }),
      head: head?.commit,
      commit: same?.commit ?? (await this.#commit(tree, head)),
    };
    await this.#scratch.save({ ...state, last, secrets });
    return {
      commit: last.commit,
      tree,
      shallow: head?.hasParents ? [head.commit] : [],
      files: last.files,
      bytes: last.bytes,
      secrets: Object.entries(secrets).map(([path, why]) => ({ path: showPath(path), why })),
      scratch: this.#scratch,
      ...(head && { head: head.commit }),
    };
  }

  /** The index as it is now and the tree it makes, at once: git replaces the file, so what we read is whole. */
  async #readTree(format: ObjectFormat): Promise<[Index, string]> {
    const reading = readIndex(this.#scratch.indexFile, format);
    return Promise.all([reading, this.#writeTree(reading)]);
  }

  async #writeTree(index: Promise<Index>): Promise<string> {
    if (this.#only === '') return this.#git.text(this.#place, 'write-tree');
    if ((await index).size === 0) return this.#git.text(this.#place, 'hash-object', '-t', 'tree', '-w', '--stdin');
    return this.#git.text(this.#place, 'write-tree', `--prefix=${this.#only}`);
  }

  #commit(tree: string, head: Head | undefined): Promise<string> {
    const who = `Simple CI <simple-ci@localhost> ${head?.date ?? FIXED_DATE}`;
    const parent = head ? `parent ${head.commit}\n` : '';
    const input = `tree ${tree}\n${parent}author ${who}\ncommitter ${who}\n\nSnapshot of the workspace\n`;
    return this.#git.text({ ...this.#place, input }, 'hash-object', '-t', 'commit', '-w', '--stdin');
  }
}

/** For snapshots without a HEAD: the same files give the same commit on every day. */
const FIXED_DATE = '1000000000 +0000';

/** Changes when a file may have become untracked. */
async function userIndexSignature(repositories: readonly GitRepository[]): Promise<string> {
  return (await Promise.all(repositories.map(({ gitDir }) => fileSignature(join(gitDir, 'index'))))).join(', ');
}

function total(index: Index): { files: number; bytes: number } {
  let bytes = 0;
  for (const { size } of index.values()) bytes += size;
  return { files: index.size, bytes };
}
