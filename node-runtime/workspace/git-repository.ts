import { readFile, stat } from 'node:fs/promises';
import { dirname, isAbsolute, join, resolve } from 'node:path';

/** Where a repository of the user's lies. Nothing here was asked of git, so nothing of its settings was obeyed. */
export interface GitRepository {
  /** The folder that holds `.git`. */
  readonly toplevel: string;
  /** What belongs to this work tree: HEAD, index. */
  readonly gitDir: string;
  /** What all work trees of the repository share: objects, refs, config. The same folder unless this is a linked work tree. */
  readonly commonDir: string;
}

/** The repository whose work tree `dir` lies in, if any. */
export async function findRepository(dir: string): Promise<GitRepository | undefined> {
  for (let at = dir; ; at = dirname(at)) {
    const repository = await repositoryAt(at);
    if (repository || dirname(at) === at) return repository;
  }
}

/** The repository whose `.git` is in this very folder. A linked work tree's and a submodule's `.git` is a file. */
export async function repositoryAt(toplevel: string): Promise<GitRepository | undefined> {
  const gitDir = await gitDirOf(toplevel);
  if (gitDir === undefined || !(await exists(join(gitDir, 'HEAD')))) return undefined;
  const common = await readText(join(gitDir, 'commondir'));
  const commonDir = common === undefined ? gitDir : resolve(gitDir, common);
  return (await exists(join(commonDir, 'objects'))) ? { toplevel, gitDir, commonDir } : undefined;
}

async function gitDirOf(toplevel: string): Promise<string | undefined> {
  const dotGit = join(toplevel, '.git');
  const info = await stat(dotGit).catch(() => undefined);
  if (info?.isDirectory()) return dotGit;
  if (!info?.isFile() || info.size > 16_384) return undefined;
  const target = /^gitdir: (.+)$/s.exec((await readText(dotGit)) ?? '')?.[1];
  return target === undefined ? undefined : isAbsolute(target) ? target : resolve(toplevel, target);
}

async function readText(path: string): Promise<string | undefined> {
  return (await readFile(path, 'utf8').catch(() => undefined))?.replace(/\r?\n$/, '');
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
