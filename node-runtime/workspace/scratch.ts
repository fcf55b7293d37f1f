import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../system/clock.ts';
import { lockFile } from './exclusive-lock.ts';
import type { FilePath } from './file-path.ts';
import { fileSignature } from './file-signature.ts';
import type { Workspace } from './find-workspace.ts';
import { writeGitDir } from './git-dir.ts';
import type { GitRepository } from './git-repository.ts';
import type { TreeDigests } from './list-files.ts';
import type { Head, RepositorySettings } from './user-repository.ts';

/** What is remembered of a workspace between snapshots. Losing it costs time, nothing else. */
export interface ScratchState {
  readonly v: 2;
  readonly settings: RepositorySettings;
  /** The newest snapshots that were sent, newest first: the cluster may have them. */
  readonly sent: readonly Sent[];
  readonly last?: Content | undefined;
  readonly committed?: Committed | undefined;
  /** What git lists in all work trees, those of nested repositories included. */
  readonly trees?: TreeDigests;
  readonly listing?: Listing | undefined;
  /** Untracked files that look as if they held secrets, and why. */
  readonly secrets: Readonly<Record<FilePath, string>>;
}

/** A snapshot that was sent, and the user's commit that it was put on. */
export interface Sent {
  readonly commit: string;
  readonly head?: string | undefined;
}

/** What was in the workspace. */
export interface Content {
  /** The signature of the index file it was made of. */
  readonly index: string;
  readonly tree: string;
  readonly files: number;
  readonly bytes: number;
}

export interface Committed {
  readonly tree: string;
  readonly head?: Head | undefined;
  readonly commit: string;
}

/** By what one can tell that no file came or went, without looking at each. */
export interface Listing {
  readonly nested: readonly GitRepository[];
  /** Paths where one must look whether something is there again. */
  readonly absent: readonly FilePath[];
}

/** Long enough for the first snapshot of a very large workspace in another window. */
const LOCK_LIMIT_MS = 600_000;

/**
 * Our own git directory for one workspace, kept between snapshots in the user's cache folder: its index remembers which files
 * it has read, its objects are what earlier snapshots consist of. The user's repository is only read.
 */
export class Scratch {
  readonly folder: string;
  readonly gitDir: string;
  readonly indexFile: string;

  constructor(cacheDir: string, root: string) {
    const name = createHash('sha256').update(root).digest('hex').slice(0, 32);
    this.folder = join(cacheDir, 'workspaces', name);
    this.gitDir = join(this.folder, 'git');
    this.indexFile = join(this.gitDir, 'index');
  }

  static of(cacheDir: string, workspace: Workspace): Scratch {
    return new Scratch(cacheDir, workspace.root);
  }

  /** One snapshot of a workspace is taken or packed at a time; this waits for its turn. */
  async lock(clock: Clock, signal: AbortSignal): Promise<Disposable> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    return lockFile(join(this.folder, 'lock'), clock, signal, LOCK_LIMIT_MS);
  }

  /** Call with the lock held. What is remembered of other settings tells nothing, but which objects were sent. */
  async open(settings: RepositorySettings): Promise<ScratchState> {
    const state = await this.remembered();
    if (state?.settings.format !== settings.format || !(await this.#isWhole())) {
      await this.reset();
      await writeGitDir(this.gitDir, { format: settings.format, config: SCRATCH_CONFIG });
      return { v: 2, settings, sent: [], secrets: {} };
    }
    await rm(`${this.indexFile}.lock`, { force: true });
    if (isDeepStrictEqual(state.settings.config, settings.config)) return { ...state, settings };
    await rm(this.indexFile, { force: true });
    return { v: 2, settings, sent: state.sent, secrets: {} };
  }

  async save(state: ScratchState): Promise<void> {
    const path = join(this.folder, 'state.json');
    await writeFile(`${path}.new`, JSON.stringify(state));
    await rename(`${path}.new`, path);
  }

  async remembered(): Promise<ScratchState | undefined> {
    try {
      const state = JSON.parse(await readFile(join(this.folder, 'state.json'), 'utf8'));
      return state?.v === 2 ? state : undefined;
    } catch {
      return undefined;
    }
  }

  /** Call with the lock held. */
  async rememberSent(sent: readonly Sent[]): Promise<void> {
    const state = await this.remembered();
    if (state) await this.save({ ...state, sent });
  }

  /** Forgets everything. */
  async reset(): Promise<void> {
    await rm(join(this.folder, 'state.json'), { force: true });
    await rm(this.gitDir, { recursive: true, force: true, maxRetries: 3 });
  }

  /** Changes whenever the index does: git replaces the file. */
  indexSignature(): Promise<string> {
    return fileSignature(this.indexFile);
  }

  async #isWhole(): Promise<boolean> {
    return (await stat(join(this.gitDir, 'HEAD')).catch(() => undefined)) !== undefined;
  }
}

/** A cache needs no fsync; what a power failure damages is found out and made anew. */
const SCRATCH_CONFIG = {
  'core.fsync': 'none',
  'core.splitIndex': 'false',
  'core.untrackedCache': 'false',
  'core.sparseCheckout': 'false',
  'core.commitGraph': 'false',
  'core.preloadIndex': 'true',
  'core.compression': '1',
  'index.version': '2',
  'index.sparse': 'false',
};
