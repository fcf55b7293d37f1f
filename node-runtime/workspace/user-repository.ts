import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Git, GitPlace, UserEnvironment } from './git.ts';
import type { ObjectFormat } from './git-dir.ts';
import type { GitRepository } from './git-repository.ts';

/** What of the user's settings has a say in a snapshot. */
export interface UserSettings {
  readonly format: ObjectFormat;
  /** Objects are fetched when they are needed: they may not be here, not even those of HEAD. */
  readonly isPartial: boolean;
  /** Settings to hand on to git. */
  readonly config: Readonly<Record<string, string>>;
  /** The user's own ignore file; it need not exist. */
  readonly excludesFile: string;
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

/** Reads a few settings out of the user's files, as text: git does not get to obey them. */
export async function readUserSettings(
  git: Git,
  env: UserEnvironment,
  repository: GitRepository | undefined,
): Promise<UserSettings> {
  const home = env.HOME ?? homedir();
  const [settings, userExcludes] = await Promise.all([
    repository ? git.settings(join(repository.commonDir, 'config')) : new Map<string, string>(),
    git.userPath('core.excludesFile'),
  ]);
  const excludes = settings.get('core.excludesfile')?.replace(/^~\//, `${home}/`) ?? userExcludes;
  return {
    format: settings.get('extensions.objectformat') === 'sha256' ? 'sha256' : 'sha1',
    isPartial: settings.has('extensions.partialclone'),
    config: Object.fromEntries(HARMLESS.flatMap(name => (settings.has(name) ? [[name, settings.get(name)!]] : []))),
    excludesFile: excludes ?? join(env.XDG_CONFIG_HOME || join(home, '.config'), 'git/ignore'),
  };
}

export async function readFormat(git: Git, { commonDir }: GitRepository): Promise<ObjectFormat> {
  const settings = await git.settings(join(commonDir, 'config'));
  return settings.get('extensions.objectformat') === 'sha256' ? 'sha256' : 'sha1';
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
