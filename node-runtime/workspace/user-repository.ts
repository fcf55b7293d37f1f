import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SnapshotSource } from '../../shared/task.ts';
import type { Git, GitPlace } from './git.ts';
import type { ObjectFormat } from './git-dir.ts';
import type { GitRepository } from './git-repository.ts';

/** What of a repository's settings has a say in a snapshot. */
export interface RepositorySettings {
  /** Of the file they were read out of. */
  readonly digest: string;
  readonly format: ObjectFormat;
  /** Objects are fetched when they are needed: they may not be here, not even those of HEAD. */
  readonly isPartial: boolean;
  /** Settings to hand on to git. */
  readonly config: Readonly<Record<string, string>>;
  /** The ignore file that this repository names instead of the user's own. */
  readonly excludesFile?: string | undefined;
}

/** The commit that a snapshot is put on top of. */
export interface Head {
  readonly commit: string;
  readonly hasParents: boolean;
  /** The committer's, as in `1764000000 +0100`. */
  readonly date: string | undefined;
}

/** Settings that say how the file system behaves. None of them can name a program. */
const HARMLESS = ['core.filemode', 'core.ignorecase', 'core.symlinks', 'core.precomposeunicode'] as const;

/**
 * Reads a few settings out of the user's file, as text: git does not get to obey them.
 * @param known what was read before: the same text says the same
 */
export async function readSettings(
  git: Git,
  repository: GitRepository | undefined,
  known?: RepositorySettings,
): Promise<RepositorySettings> {
  const text = repository ? await readConfig(repository) : Buffer.alloc(0);
  const digest = createHash('sha256').update(text).digest('hex');
  if (known?.digest === digest) return known;
  const settings = await git.settings(text);
  return {
    digest,
    format: settings.get('extensions.objectformat') === 'sha256' ? 'sha256' : 'sha1',
    isPartial: settings.has('extensions.partialclone'),
    config: Object.fromEntries(HARMLESS.flatMap(name => (settings.has(name) ? [[name, settings.get(name)!]] : []))),
    excludesFile: settings.get('core.excludesfile'),
  };
}

export async function readFormat(git: Git, repository: GitRepository): Promise<ObjectFormat> {
  const settings = await git.settings(await readConfig(repository));
  return settings.get('extensions.objectformat') === 'sha256' ? 'sha256' : 'sha1';
}

async function readConfig({ commonDir }: GitRepository): Promise<Buffer> {
  return readFile(join(commonDir, 'config')).catch(() => Buffer.alloc(0));
}

/**
 * Undefined before the first commit, and when the commit is not there.
 * @param reader our own git directory, which reads the user's objects
 * @param known what was read before: a commit does not change
 */
export async function readHead(
  git: Git,
  reader: GitPlace,
  repository: GitRepository,
  known?: Head,
): Promise<Head | undefined> {
  const commit = (await readHeadFile(repository)) ?? (await askHead(git, repository));
  if (commit === undefined) return undefined;
  if (commit === known?.commit) return known;
  const { code, stdout } = await git.run(reader, 'cat-file', 'commit', commit);
  if (code !== 0) return undefined;
  const header = stdout.toString().split('\n\n', 1)[0] ?? '';
  return {
    commit,
    hasParents: /^parent /m.test(header),
    date: /^committer .*> (-?\d+ [+-]\d{4})$/m.exec(header)?.[1],
  };
}

const COMMIT_ID = /^([0-9a-f]{40}|[0-9a-f]{64})\n$/;

/** Where HEAD is detached, or its branch has a file of its own, as it has after each commit. */
async function readHeadFile({ gitDir, commonDir }: GitRepository): Promise<string | undefined> {
  const head = await readFile(join(gitDir, 'HEAD'), 'utf8').catch(() => '');
  const branch = BRANCH.exec(head)?.[1];
  const text = branch === undefined ? head : await readFile(join(commonDir, branch), 'utf8').catch(() => '');
  return COMMIT_ID.exec(text)?.[1];
}

const BRANCH = /^ref: (refs\/heads\/(.+))\n$/;

/** The branch that is checked out; undefined where HEAD is detached, or what it names is no branch that a task could tell of. */
export async function readBranch({ gitDir }: GitRepository): Promise<string | undefined> {
  const head = await readFile(join(gitDir, 'HEAD'), 'utf8').catch(() => '');
  const { data } = SnapshotSource.shape.branch.safeParse(BRANCH.exec(head)?.[2]);
  return data;
}

async function askHead(git: Git, { gitDir }: GitRepository): Promise<string | undefined> {
  const { code, stdout } = await git.run({ gitDir }, 'rev-parse', '--verify', '--quiet', 'HEAD');
  return code === 0 ? stdout.toString().trim() || undefined : undefined;
}
