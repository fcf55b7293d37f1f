import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, open, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { SnapshotManifest } from '../../shared/api.ts';
import { CiError } from '../../shared/errors.ts';
import type { ObjectKeys } from '../../shared/keyspace.ts';
import type { ObjectStore } from '../objects/object-store.ts';
import type { Clock } from '../system/clock.ts';
import { Git, GitError, type UserEnvironment } from './git.ts';
import { formatOf, type ObjectFormat, writeGitDir } from './git-dir.ts';

export interface PackCacheOptions {
  /** The node's own folder for it. Nothing in it matters: it may be emptied whenever the node is stopped. */
  readonly cacheDir: string;
  readonly objects: ObjectStore;
  readonly objectKeys: Pick<ObjectKeys, 'pack'>;
  readonly env: UserEnvironment;
  readonly clock: Clock;
  /** Packs that nobody uses are deleted beyond this, the longest unused first. Default: 10 GiB. */
  readonly maxBytes?: number;
}

/** The packs of one manifest, indexed and kept until disposed of. */
export interface HeldPacks extends AsyncDisposable {
  readonly format: ObjectFormat;
  /** Folders that hold `NAME.pack` and `NAME.idx`, in the manifest's order. */
  readonly folders: readonly string[];
}

type PackName = SnapshotManifest['packs'][number];

const DEFAULT_MAX_BYTES = 10 * 1024 ** 3;
/** How long a pack is kept though another process of this machine, with the same folder, might be the only one to use it. */
const SPARED_MS = 600_000;

/**
 * Packs of snapshots on this node's disk. Any number of attempts may ask for the same packs at once, each is fetched once.
 * A pack that is here is whole: it is checked, indexed and only then given its name.
 */
export class PackCache {
  readonly #options: PackCacheOptions;
  readonly #packs: string;
  readonly #fetching = new Map<string, Promise<void>>();
  readonly #uses = new Map<string, number>();

  constructor(options: PackCacheOptions) {
    this.#options = options;
    this.#packs = join(options.cacheDir, 'packs');
  }

  /** Rejects with `gone` if the object store no longer has one of them, with `invalid` if one is not what its name says. */
  async hold(manifest: SnapshotManifest, signal: AbortSignal): Promise<HeldPacks> {
    const format = formatOf(manifest.commit);
    const names = manifest.packs.map(pack => pack.id);
    for (const name of names) this.#uses.set(name, (this.#uses.get(name) ?? 0) + 1);
    const release = () => this.#release(names);
    try {
      for (const [index, pack] of manifest.packs.entries())
        await this.#ensure(pack, format, names.slice(0, index), signal);
      return { format, folders: names.map(name => this.#folder(name)), [Symbol.asyncDispose]: release };
    } catch (error) {
      await release();
      throw error;
    }
  }

  #folder(name: string): string {
    return join(this.#packs, name, 'pack');
  }

  async #ensure(pack: PackName, format: ObjectFormat, earlier: readonly string[], signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      if (await this.#isHere(pack.id)) return;
      const underway = this.#fetching.get(pack.id);
      if (underway !== undefined) {
        await Promise.race([underway, rejectedWhen(signal)]).catch(() => undefined);
        continue;
      }
      const fetching = this.#fetch(pack, format, earlier, signal);
      this.#fetching.set(pack.id, fetching);
      try {
        return await fetching;
      } finally {
        this.#fetching.delete(pack.id);
      }
    }
  }

  /** Marks it as used now. */
  async #isHere(name: string): Promise<boolean> {
    const now = new Date(this.#options.clock.now());
    return utimes(join(this.#packs, name), now, now).then(
      () => true,
      () => false,
    );
  }

  async #fetch(pack: PackName, format: ObjectFormat, earlier: readonly string[], signal: AbortSignal): Promise<void> {
    await mkdir(this.#packs, { recursive: true, mode: 0o700 });
    const folder = await mkdtemp(join(this.#options.cacheDir, 'fetch-'));
    try {
      const thin = join(folder, 'thin');
      await this.#download(pack, thin, signal);
      const whole = join(folder, 'whole');
      await this.#index(pack, thin, join(whole, 'pack'), folder, format, earlier, signal);
      await rename(whole, join(this.#packs, pack.id)).catch(ignoreExisting);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  async #download({ id, bytes }: PackName, path: string, signal: AbortSignal): Promise<void> {
    const { objects, objectKeys } = this.#options;
    const body = await objects.get(objectKeys.pack(id), { signal });
    if (!body) throw new CiError('gone', `Cannot fetch snapshot as one of its packs has been deleted: ${id}`);
    if (body.size !== bytes) throw damaged(id, `it has ${body.size} bytes instead of ${bytes}`);
    const hash = createHash('sha256');
    await using file = await open(path, 'wx', 0o600);
    for await (const chunk of body.bytes) {
      hash.update(chunk);
      await file.writeFile(chunk);
    }
    if (hash.digest('hex') !== id) throw damaged(id, 'its bytes do not have that hash');
  }

  /** A later pack may hold deltas against an earlier one: those bases are copied into it, so that it stands alone. */
  async #index(
    { id }: PackName,
    thin: string,
    target: string,
    folder: string,
    format: ObjectFormat,
    earlier: readonly string[],
    signal: AbortSignal,
  ): Promise<void> {
    const gitDir = join(folder, 'git');
    await writeGitDir(gitDir, { format, alternates: earlier.map(name => join(this.#packs, name)) });
    await mkdir(target, { recursive: true });
    const git = new Git(this.#options.env, signal);
    const pack = join(target, `pack-${id}.pack`);
    await using file = await open(thin, 'r');
    const { code, stderr } = await git.run(
      { gitDir, stdin: file.fd, timeoutMs: INDEX_TIMEOUT_MS },
      ...['index-pack', '--stdin', '--fix-thin', '--threads=1', pack],
    );
    if (code !== 0) throw damaged(id, new GitError(['index-pack'], code, stderr).message);
  }

  async #release(names: readonly string[]): Promise<void> {
    for (const name of names) {
      const uses = (this.#uses.get(name) ?? 1) - 1;
      if (uses === 0) this.#uses.delete(name);
      else this.#uses.set(name, uses);
    }
    await this.#evict();
  }

  async #evict(): Promise<void> {
    const { clock, maxBytes = DEFAULT_MAX_BYTES } = this.#options;
    const packs = await this.#list();
    let total = packs.reduce((sum, { bytes }) => sum + bytes, 0);
    for (const { name, bytes, used } of packs.sort((a, b) => a.used - b.used)) {
      if (total <= maxBytes) return;
      if (this.#uses.has(name) || used > clock.now() - SPARED_MS) continue;
      await rm(join(this.#packs, name), { recursive: true, force: true });
      total -= bytes;
    }
  }

  async #list(): Promise<{ name: string; bytes: number; used: number }[]> {
    const names = await readdir(this.#packs).catch(() => []);
    return Promise.all(
      names.map(async name => {
        const [folder, pack] = await Promise.all([
          stat(join(this.#packs, name)).catch(() => undefined),
          stat(join(this.#folder(name), `pack-${name}.pack`)).catch(() => undefined),
        ]);
        return { name, bytes: pack?.size ?? 0, used: folder?.mtimeMs ?? 0 };
      }),
    );
  }
}

const INDEX_TIMEOUT_MS = 1_800_000;

function damaged(id: string, why: string): CiError {
  return new CiError('invalid', `Cannot use pack ${id} as ${why}`);
}

function rejectedWhen(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));
}

function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
}
