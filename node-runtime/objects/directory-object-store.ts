import { createReadStream, type Stats } from 'node:fs';
import { readdir, rm, rmdir, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CiError } from '../../shared/errors.ts';
import { quote } from '../../shared/ids.ts';
import type { Chance } from '../system/chance.ts';
import type { Clock } from '../system/clock.ts';
import { codeOf, openNew, publish, whenThere } from './durable-files.ts';
import { checkObjectKey, compareKeys } from './object-key.ts';
import { type Entry, folderPath, objectPath, parseEntry } from './object-path.ts';
import type {
  GetOptions,
  ObjectBody,
  ObjectCall,
  ObjectInfo,
  ObjectStore,
  PresignOptions,
  PutOptions,
} from './object-store.ts';
import { type AddressSigner, signAddress } from './signed-address.ts';
import { untilAborted } from './until-aborted.ts';

export interface DirectoryOptions {
  /** The directory that holds everything; it is made when it is first needed. */
  readonly root: string;
  readonly clock: Clock;
  readonly chance: Chance;
  /** With what `presign` makes addresses that this node serves. */
  readonly signer: AddressSigner;
}

/** A put that has not grown for this long was left by a process that died. */
const STALE_MS = 3_600_000;
const SWEEP_EVERY_MS = 600_000;
const TOGETHER = 64;
const READ_BYTES = 262_144;

/**
 * Objects as files of one directory, for one machine. Several processes may share it. A put is written beside, synced and
 * renamed into place, so an object is there whole or not at all, also after kill -9 and after a power cut.
 *
 *   ROOT/objects/…      the objects (`object-path.ts`)
 *   ROOT/incoming/…     puts under way
 *
 * `timeoutMs` is not kept here: a local disk answers, or its error is final.
 */
export class DirectoryObjectStore implements ObjectStore {
  readonly #options: DirectoryOptions;
  readonly #objects: string;
  readonly #incoming: string;
  #nextSweep = Number.NEGATIVE_INFINITY;

  constructor(options: DirectoryOptions) {
    this.#options = options;
    this.#objects = join(options.root, 'objects');
    this.#incoming = join(options.root, 'incoming');
  }

  async put(key: string, body: Uint8Array | AsyncIterable<Uint8Array>, { signal }: PutOptions): Promise<void> {
    const path = this.#path(key);
    signal.throwIfAborted();
    await this.#attempt('put', key, () => this.#sweep());
    const draft = join(this.#incoming, this.#options.chance.word(24));
    try {
      await this.#writeDraft(draft, key, body, signal);
      signal.throwIfAborted();
      await this.#attempt('put', key, () => publish(draft, path));
    } catch (error) {
      await rm(draft, { force: true });
      throw error;
    }
  }

  async get(key: string, options: GetOptions): Promise<ObjectBody | undefined> {
    const info = await this.head(key, options);
    return info && { size: info.size, bytes: this.#read(key, info.size, options) };
  }

  async head(key: string, { signal }: ObjectCall): Promise<ObjectInfo | undefined> {
    signal.throwIfAborted();
    const path = this.#path(key);
    const stats = await this.#attempt('read', key, () => whenThere(stat(path)));
    return stats && infoOf(key, stats);
  }

  async *list(
    prefix: string,
    { after = '', signal }: ObjectCall & { readonly after?: string },
  ): AsyncIterable<ObjectInfo> {
    const isWanted = (key: string) => key.startsWith(prefix) && compareKeys(key, after) > 0;
    const mayHoldWanted = (folder: string) =>
      (folder.startsWith(prefix) || prefix.startsWith(folder)) &&
      (after.startsWith(folder) || compareKeys(folder, after) > 0);
    if (!prefix.isWellFormed()) throw new CiError('invalid', `Cannot list objects by a prefix that is not Unicode`);
    yield* this.#walk(prefix.slice(0, prefix.lastIndexOf('/') + 1), isWanted, mayHoldWanted, signal);
  }

  async deleteMany(keys: readonly string[], { signal }: ObjectCall): Promise<void> {
    const folders = new Set<string>();
    for (const some of windows(keys, TOGETHER)) {
      signal.throwIfAborted();
      await Promise.all(
        some.map(async key => {
          const path = this.#path(key);
          await this.#attempt('delete', key, () => whenThere(unlink(path)));
          folders.add(dirname(path));
        }),
      );
    }
    for (const folder of folders) await this.#prune(folder);
  }

  async presign(method: 'GET' | 'PUT', key: string, options: PresignOptions): Promise<string> {
    const { downloadName, contentType, expiresSeconds } = options;
    return signAddress(this.#options.signer, {
      method,
      key,
      expires: Math.floor(this.#options.clock.now() / 1000) + expiresSeconds,
      ...(downloadName !== undefined && { downloadName }),
      ...(contentType !== undefined && { contentType }),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #path(key: string): string {
    checkObjectKey(key);
    return join(this.#objects, objectPath(key));
  }

  async #writeDraft(
    draft: string,
    key: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<void> {
    const attempt = <T>(operation: () => Promise<T>) => this.#attempt('put', key, operation);
    const file = await attempt(() => openNew(draft));
    try {
      const chunks = body instanceof Uint8Array ? [body] : untilAborted(body, signal);
      for await (const chunk of chunks) await attempt(() => file.writeFile(chunk));
      await attempt(() => file.sync());
    } finally {
      await file.close();
    }
  }

  async *#read(key: string, size: number, { range, signal }: GetOptions): AsyncIterable<Uint8Array> {
    const start = range?.start ?? 0;
    const end = Math.min(range?.end ?? size, size);
    if (start >= end) return;
    const stream = createReadStream(this.#path(key), { start, end: end - 1, highWaterMark: READ_BYTES, signal });
    try {
      yield* stream;
    } catch (error) {
      signal.throwIfAborted();
      throw this.#translate('read', key, error);
    }
  }

  /** Goes through a folder in the order of the keys. Entries that vanish meanwhile are left out. */
  async *#walk(
    folder: string,
    isWanted: (key: string) => boolean,
    mayHoldWanted: (folder: string) => boolean,
    signal: AbortSignal,
  ): AsyncIterable<ObjectInfo> {
    const entries = await this.#attempt('list', folder, () => entriesOf(join(this.#objects, folderPath(folder))));
    const keys = entries
      .map(entry => (entry.kind === 'folder' ? `${folder}${entry.name}/` : `${folder}${entry.name}`))
      .filter(key => (key.endsWith('/') ? mayHoldWanted(key) : isWanted(key)))
      .sort(compareKeys);
    for (const some of windows(keys, TOGETHER)) {
      const infos = await Promise.all(some.map(key => (key.endsWith('/') ? undefined : this.head(key, { signal }))));
      for (const [i, key] of some.entries()) {
        signal.throwIfAborted();
        const info = infos[i];
        if (key.endsWith('/')) yield* this.#walk(key, isWanted, mayHoldWanted, signal);
        else if (info !== undefined) yield info;
      }
    }
  }

  /** Removes the folder and those above it that are now empty. A put that comes between makes them again. */
  async #prune(folder: string): Promise<void> {
    try {
      for (let path = folder; path.length > this.#objects.length; path = dirname(path)) await rmdir(path);
    } catch (error) {
      if (!['ENOTEMPTY', 'ENOENT', 'EEXIST'].includes(codeOf(error) ?? ''))
        throw this.#translate('tidy', folder, error);
    }
  }

  /** Removes what was left by puts of processes that died, now and then. */
  async #sweep(): Promise<void> {
    const { clock } = this.#options;
    if (clock.monotonic() < this.#nextSweep) return;
    this.#nextSweep = clock.monotonic() + SWEEP_EVERY_MS;
    for (const name of (await whenThere(readdir(this.#incoming))) ?? []) {
      const draft = join(this.#incoming, name);
      const stats = await whenThere(stat(draft));
      if (stats !== undefined && clock.now() - stats.mtimeMs > STALE_MS) await rm(draft, { force: true });
    }
  }

  async #attempt<T>(what: string, key: string, operation: () => Promise<T>): Promise<T> {
    try {
      return await operation();
    } catch (error) {
      throw this.#translate(what, key, error);
    }
  }

  #translate(what: string, key: string, cause: unknown): unknown {
    const code = codeOf(cause);
    if (code === undefined || cause instanceof CiError) return cause;
    const why = REASONS[code] ?? (cause as Error).message;
    const refused = code === 'EACCES' || code === 'EPERM';
    return new CiError(
      refused ? 'forbidden' : 'unavailable',
      `Cannot ${what} object ${quote(key)} as ${why}: ${this.#options.root}`,
      { cause },
    );
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full that holds the directory of objects',
  EDQUOT: 'the disk quota is used up for the directory of objects',
  EROFS: 'the disk is read-only that holds the directory of objects',
  EACCES: 'this user has no access to the directory of objects',
  EPERM: 'this user has no access to the directory of objects',
  ENOENT: 'the directory of objects is not there and cannot be made',
  ENOTDIR: 'the path of the directory of objects leads through a file',
};

function infoOf(key: string, stats: Stats): ObjectInfo {
  return { key, size: stats.size, modified: stats.mtimeMs };
}

async function entriesOf(path: string, start = ''): Promise<Exclude<Entry, { kind: 'continued' }>[]> {
  const entries = [];
  for (const name of (await whenThere(readdir(path))) ?? []) {
    const entry = parseEntry(start + name);
    if (entry?.kind === 'continued') entries.push(...(await entriesOf(join(path, name), entry.encoded)));
    else if (entry !== undefined) entries.push(entry);
  }
  return entries;
}

function* windows<T>(all: readonly T[], size: number): Iterable<readonly T[]> {
  for (let start = 0; start < all.length; start += size) yield all.slice(start, start + size);
}
