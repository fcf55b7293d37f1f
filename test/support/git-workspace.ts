import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { SnapshotManifest } from '../../shared/api.ts';
import { objectKeys, type ObjectKeys } from '../../shared/keyspace.ts';
import { CiError } from '../../shared/errors.ts';
import { parseClusterId } from '../../shared/ids.ts';
import { checkOut, prepareCheckout } from '../../node-runtime/workspace/check-out-snapshot.ts';
import { findWorkspace } from '../../node-runtime/workspace/find-workspace.ts';
import { packSnapshot } from '../../node-runtime/workspace/pack-snapshot.ts';
import { PackCache } from '../../node-runtime/workspace/pack-cache.ts';
import { type Snapshot, takeSnapshot } from '../../node-runtime/workspace/take-snapshot.ts';
import type { SnapshotTransport } from '../../node-runtime/workspace/upload-snapshot.ts';
import { neverAborted, systemClock } from '../../node-runtime/system/clock.ts';
import { runProcess } from '../../node-runtime/system/subprocess.ts';
import { MemoryObjectStore } from './memory-object-store.ts';

/** A user's machine in a temporary folder: a home, a cache, a workspace, and git as the user himself calls it. */
export class GitWorkspace implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'simple-ci-workspace-'));
  readonly root = join(this.folder, 'work');
  readonly cacheDir = join(this.folder, 'cache');
  readonly env: Record<string, string>;

  constructor() {
    const home = join(this.folder, 'home');
    mkdirSync(this.root);
    mkdirSync(home);
    this.env = { PATH: process.env.PATH ?? '/usr/bin:/bin', HOME: home };
  }

  static repository(...initArguments: string[]): GitWorkspace {
    const workspace = new GitWorkspace();
    workspace.git('init', '--quiet', '--initial-branch=main', ...initArguments);
    return workspace;
  }

  /** git as the user runs it in the workspace. */
  git(...args: string[]): string {
    return this.gitIn(this.root, ...args);
  }

  gitIn(cwd: string, ...args: string[]): string {
    const env = { ...this.env, ...IDENTITY, GIT_CONFIG_NOSYSTEM: '1' };
    const config = ['-c', 'protocol.file.allow=always'];
    return execFileSync('git', [...config, ...args], {
      cwd,
      env,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    }).trim();
  }

  commitAll(message = 'Change'): string {
    this.git('add', '--all');
    this.git('commit', '--quiet', '--allow-empty', '--message', message);
    return this.git('rev-parse', 'HEAD');
  }

  write(path: string, content: string | Uint8Array = `${path}\n`): void {
    const file = join(this.root, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
  }

  remove(path: string): void {
    rmSync(join(this.root, path), { recursive: true });
  }

  async snapshot(dir = this.root, signal = neverAborted): Promise<Snapshot> {
    return takeSnapshot(await findWorkspace(dir), { cacheDir: this.cacheDir, env: this.env, signal });
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

const IDENTITY = {
  GIT_AUTHOR_NAME: 'Ada',
  GIT_AUTHOR_EMAIL: 'ada@example.com',
  GIT_COMMITTER_NAME: 'Ada',
  GIT_COMMITTER_EMAIL: 'ada@example.com',
};

/** A cluster's side of snapshots: its object store, and a node that checks them out. */
export class SnapshotReceiver implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'simple-ci-receiver-'));
  readonly objects = new MemoryObjectStore();
  readonly objectKeys: ObjectKeys = objectKeys(parseClusterId('test'), 'epoch0001');
  readonly manifests = new Map<string, SnapshotManifest>();
  readonly env = { PATH: process.env.PATH ?? '/usr/bin:/bin' };
  readonly #heads = new Map<string, string | undefined>();
  #checkouts = 0;

  cache(options: { cacheDir?: string; maxBytes?: number } = {}): PackCache {
    const { objects, objectKeys, env } = this;
    return new PackCache({
      cacheDir: join(this.folder, 'node'),
      objects,
      objectKeys,
      env,
      clock: systemClock,
      ...options,
    });
  }

  /** Stores a snapshot as an upload would, against an earlier one if given. */
  async receive(snapshot: Snapshot, env: Record<string, string>, base?: SnapshotManifest): Promise<SnapshotManifest> {
    const sent = base && { commit: base.commit, head: this.#heads.get(base.commit) };
    this.#heads.set(snapshot.commit, snapshot.head);
    await using pack = await packSnapshot(snapshot, { base: sent, env, signal: neverAborted });
    await this.objects.put(this.objectKeys.pack(pack.id), readFileSync(pack.file), { signal: neverAborted });
    const { commit, tree, shallow } = snapshot;
    const packs = [...(base && !pack.isFull ? base.packs : []), { id: pack.id, bytes: pack.bytes }];
    const manifest = { v: 1, commit, tree, shallow: [...shallow], packs, created: 0 };
    this.manifests.set(commit, manifest);
    return manifest;
  }

  /** Checks a snapshot out into a new folder, and gives the folder. */
  async checkOut(manifest: SnapshotManifest, cache = this.cache()): Promise<string> {
    const workspace = join(this.folder, `checkout-${this.#checkouts++}`);
    mkdirSync(workspace);
    await using packs = await cache.hold(manifest, neverAborted);
    await prepareCheckout(manifest, packs, workspace);
    await checkOut(manifest, runIn(workspace), this.env.PATH);
    return workspace;
  }

  /** How the next answers to uploads of packs are spoilt: a status instead of storing it. */
  readonly uploadFailures: number[] = [];
  #server: Server | undefined;

  /** What a client would ask of the cluster. Packs go over real HTTP. */
  readonly transport: SnapshotTransport = {
    check: async commits => commits.filter(commit => this.manifests.has(commit)),
    get: async commit => {
      const manifest = this.manifests.get(commit);
      if (manifest) return manifest;
      throw new CiError('not-found', `Cannot find snapshot: ${commit}`);
    },
    uploadPack: async id => ({ url: `${await this.#address()}/${this.objectKeys.pack(id)}` }),
    put: async manifest => {
      for (const { id } of manifest.packs)
        if (!this.objects.objects.has(this.objectKeys.pack(id)))
          throw new CiError('conflict', `There is no pack ${id}`);
      this.manifests.set(manifest.commit, manifest);
    },
  };

  async #address(): Promise<string> {
    this.#server ??= createServer((request, response) => {
      void this.#store(request).then(status => response.writeHead(status).end());
    });
    if (!this.#server.listening) await once(this.#server.listen(0, '127.0.0.1'), 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async #store(request: IncomingMessage): Promise<number> {
    const body = Buffer.concat(await Array.fromAsync(request));
    const failure = this.uploadFailures.shift();
    if (failure !== undefined) return failure;
    if (request.headers['content-length'] !== String(body.length)) return 411;
    await this.objects.put(request.url!.slice(1), body, { signal: neverAborted });
    return 200;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server?.closeAllConnections();
    this.#server?.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export function runIn(cwd: string) {
  return async (argv: readonly [string, ...string[]], env: Readonly<Record<string, string>>) => {
    const { code, stdout, stderr } = await runProcess({ argv, cwd, env, signal: neverAborted });
    return { code, output: stdout.toString() + stderr };
  };
}

/** Every file below a folder, but those of `.git`: what is in it, whether it may be run, where a link points. */
export function walk(folder: string, prefix = Buffer.alloc(0)): string[] {
  const at = Buffer.concat([Buffer.from(`${folder}/`), prefix]);
  return readdirSync(at, { encoding: 'buffer' })
    .filter(name => name.toString() !== '.git')
    .flatMap(name => {
      const path = prefix.length === 0 ? name : Buffer.concat([prefix, Buffer.from('/'), name]);
      const file = Buffer.concat([Buffer.from(`${folder}/`), path]);
      const info = lstatSync(file);
      if (info.isDirectory()) return walk(folder, path);
      return [`${path.toString('latin1')} ${describe(file, info)}`];
    })
    .sort();
}

function describe(file: Buffer, info: ReturnType<typeof lstatSync> & object): string {
  if (info.isSymbolicLink()) return `-> ${readlinkSync(file, 'buffer').toString('latin1')}`;
  const hash = createHash('sha256').update(readFileSync(file)).digest('hex');
  return `${Number(info.mode) & 0o100 ? 'executable' : 'file'} ${hash}`;
}
