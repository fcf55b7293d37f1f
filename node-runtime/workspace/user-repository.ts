import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Git, GitPlace, UserEnvironment } from './git.ts';
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
  /** As it stands there. */
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

/** The user's own ignore file; it need not exist. */
export async function findExcludesFile(
  git: Git,
  env: UserEnvironment,
  { excludesFile }: RepositorySettings,
): Promise<string> {
  const home = env.HOME ?? homedir();
  const named = excludesFile?.replace(/^~\//, `${home}/`) ?? (await git.userPath('core.excludesFile'));
  return named ?? join(env.XDG_CONFIG_HOME || join(home, '.config'), 'git/ignore');
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
 */
export async function readHead(git: Git, reader: GitPlace, { gitDir }: GitRepository): Promise<Head | undefined> {
  const name = await git.run({ gitDir }, 'rev-parse', '--verify', '--quiet', 'HEAD');
  const commit = name.stdout.toString().trim();
  if (name.code !== 0 || commit === '') return undefined;
  const { code, stdout } = await git.run(reader, 'cat-file', 'commit', commit);
  if (code !== 0) return undefined;
  const header = stdout.toString().split('\n\n', 1)[0] ?? '';
  return {
    commit,
    hasParents: /^parent /m.test(header),
    date: /^committer .*> (-?\d+ [+-]\d{4})$/m.exec(header)?.[1],
  };
}
