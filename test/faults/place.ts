import { mkdir, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { FakeTime } from '../support/fake-time.ts';
import type { NetworkNamespace } from '../support/network-namespace.ts';
import { FaultProxy } from '../support/fault-proxy.ts';
import { type S3FaultServer, startS3FaultServer } from '../support/s3-fault-server.ts';
import { type NodeProcess, startNode } from '../support/simple-ci.ts';
import { findSupervisor } from './processes.ts';

/** One node that lives, or has lived, at a place. */
export interface Life {
  readonly place: Place;
  readonly nodeId: string;
  readonly pid: number;
  readonly node: NodeProcess;
  /** It was told to go, or shot: that it ends says nothing against it. */
  isMeantToEnd: boolean;
}

/** What all places have in common. */
export interface Ground {
  readonly cluster: string;
  readonly folder: string;
  readonly etcdEndpoints: readonly string[];
  readonly s3: {
    readonly endpoint: string;
    readonly bucket: string;
    readonly environment: Readonly<Record<string, string>>;
  };
  readonly secretsKeyFile: string;
  readonly slots: number;
  readonly drainTimeout: string;
  /** The bundle that is put to the test, if it is not this checkout's own. */
  readonly program?: string | undefined;
}

export interface StartOptions {
  /** The name of the node that was here before it: the cluster lets it wait for up to 30 s if that one died without a word. */
  readonly sameName?: boolean;
  readonly freshDisk?: boolean;
}

/** What a place has that others have not. */
export interface Traits {
  readonly hasSmallDisk: boolean;
  /** A calendar of its own. */
  readonly fakeTime?: FakeTime | undefined;
  /** A network of its own, with one cable to all others. */
  readonly network?: NetworkNamespace | undefined;
}

/** The disk of a place that has a small one, in bytes. */
const SMALL_DISK = 64 * 2 ** 20;

/**
 * Where one node runs at a time: with a way of its own to each etcd member and to S3, so that it can be cut off alone, and a
 * disk of its own. A small disk is a tmpfs in a mount namespace that ends with the node: nothing is left mounted, whatever happens.
 */
export class Place implements AsyncDisposable {
  readonly name: string;
  readonly ways: readonly FaultProxy[];
  readonly hasSmallDisk: boolean;
  readonly fakeTime: FakeTime | undefined;
  readonly network: NetworkNamespace | undefined;
  /** What befalls its requests to S3. */
  objectFault: S3FaultServer['fault'] = () => undefined;
  /** Asked before that: for who lies in wait for one request. */
  objectTrap: S3FaultServer['fault'] = () => undefined;
  readonly #objects: S3FaultServer;
  readonly #ground: Ground;
  readonly #data: string;
  #generation = 0;
  life: Life | undefined;

  private constructor(
    name: string,
    ground: Ground,
    ways: readonly FaultProxy[],
    objects: S3FaultServer,
    { hasSmallDisk, fakeTime, network }: Traits,
  ) {
    this.name = name;
    this.ways = ways;
    this.#objects = objects;
    objects.fault = request => this.objectTrap(request) ?? this.objectFault(request);
    this.hasSmallDisk = hasSmallDisk;
    this.fakeTime = fakeTime;
    this.network = network;
    this.#ground = ground;
    this.#data = join(ground.folder, name);
  }

  static async prepare(name: string, ground: Ground, traits: Traits): Promise<Place> {
    const host = traits.network?.outer;
    const ways = await Promise.all(
      ground.etcdEndpoints.map(endpoint => FaultProxy.start(endpoint, host ? { host } : {})),
    );
    return new Place(name, ground, ways, await startS3FaultServer(ground.s3.endpoint, host), traits);
  }

  get isAlive(): boolean {
    return this.life !== undefined && !hasEnded(this.life.node);
  }

  /** To the last byte. Not when a node is just dying, and its disk with it. */
  async fillDisk(): Promise<void> {
    await writeFile(this.#filler, Buffer.alloc(SMALL_DISK)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOSPC' && error.code !== 'ENOENT') throw error;
    });
  }

  async emptyDisk(): Promise<void> {
    await rm(this.#filler, { force: true });
  }

  /** Starts a node here; resolves when it is ready. If the signal fires before that, it is killed. */
  async start(signal: AbortSignal, options: StartOptions = {}): Promise<Life> {
    if (this.isAlive) throw new Error(`A node lives at ${this.name} already`);
    if (!options.sameName || this.#generation === 0) this.#generation++;
    if (options.freshDisk) await rm(this.#data, { recursive: true, force: true, maxRetries: 5 });
    await mkdir(this.#data, { recursive: true, mode: 0o711 });
    const nodeId = `${this.name}.${this.#generation}`;
    const node = await startNode(this.#arguments(nodeId), this.#ground.s3.environment, {
      by: this.#command(),
      ...(this.#ground.program !== undefined && { program: this.#ground.program }),
      signal,
    });
    this.life = { place: this, nodeId, pid: node.process.pid!, node, isMeantToEnd: false };
    return this.life;
  }

  supervisor(): Promise<number | undefined> {
    return this.life && this.isAlive ? findSupervisor(this.life.pid) : Promise.resolve(undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.life) {
      this.life.isMeantToEnd = true;
      await this.life.node[Symbol.asyncDispose]();
    }
    for (const way of this.ways) await way[Symbol.asyncDispose]();
    await this.#objects[Symbol.asyncDispose]();
  }

  /** As it is seen from outside the node's mount namespace. */
  get #filler(): string {
    return join(`/proc/${this.life?.pid}/root${this.#data}`, 'chaos-filler');
  }

  #arguments(nodeId: string): string[] {
    const { cluster, s3, secretsKeyFile, slots, drainTimeout } = this.#ground;
    return [
      ...['--cluster', cluster, '--node-id', nodeId, '--data', this.#data, '--slots', String(slots)],
      ...['--etcd', this.ways.map(({ endpoint }) => endpoint).join(',')],
      ...['--s3', `s3://${s3.bucket}?endpoint=${encodeURIComponent(this.#objects.endpoint)}`],
      ...(this.network ? ['--listen', `${this.network.inner}:0`] : []),
      ...['--secrets-key', secretsKeyFile, '--drain-timeout', drainTimeout],
    ];
  }

  /** What becomes the node, in the end, under one and the same process id. It dies with this process, however that dies. */
  #command(): string[] {
    const timed = this.fakeTime ? [this.fakeTime.command] : [];
    const tied = [...(existsSync('/usr/bin/setpriv') ? ['setpriv', '--pdeathsig', 'KILL', '--'] : []), ...timed];
    if (!this.hasSmallDisk) return [...(this.network?.command ?? []), ...tied];
    const mount = `mount -t tmpfs -o size=${SMALL_DISK},mode=0711 simple-ci-chaos "$0" && exec "$@"`;
    return ['unshare', '--mount', '--', 'sh', '-c', mount, this.#data, ...tied];
  }
}

function hasEnded({ process }: NodeProcess): boolean {
  return process.exitCode !== null || process.signalCode !== null;
}
