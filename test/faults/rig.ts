import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type CephS3, startCeph } from '../support/ceph-server.ts';
import { type EtcdServer, startEtcd } from '../support/etcd-server.ts';
import { FakeTime, whyNoFakeTime } from '../support/fake-time.ts';
import { NetworkNamespace, whyNoNetworkNamespace } from '../support/network-namespace.ts';
import { attemptName, type Violation } from './check-tape.ts';
import { ChaosApi } from './chaos-api.ts';
import { pickFrom } from './draw.ts';
import type { Load } from './loads.ts';
import { type Ground, type Life, Place, type StartOptions } from './place.ts';
import { findTaskProcesses } from './processes.ts';
import { CANARY_NAME } from './task-kinds.ts';
import { Tape } from './tape.ts';
import { Witness } from './witness.ts';

export interface RigOptions {
  readonly nodes: number;
  readonly load: Load;
  /** For disks, side files and whatever else there is. */
  readonly folder: string;
  readonly program?: string | undefined;
  readonly log: (text: string) => void;
}

/** A node that was shot. */
export interface Death {
  readonly nodeId: string;
  readonly at: number;
}

/** A time in which neither a node nor its supervisor could do anything, while its tasks could. */
export interface Blackout {
  readonly nodeId: string;
  readonly from: number;
  to: number;
}

const DRAIN_TIMEOUT_S = 5;
/** How long a node may take to leave: the drain timeout, the handing back, etcd's silence meanwhile. */
const LEAVE_LIMIT_MS = 90_000;
const ORPHANS_AFTER_MS = 10_000;
const COMPACT_EVERY_MS = 60_000;

/** Everything that a run of faults stands on, and what the harness itself has done to it. Ends all of it. */
export class Rig implements AsyncDisposable {
  readonly cluster: string;
  readonly options: RigOptions;
  readonly etcd: EtcdServer;
  readonly s3: CephS3;
  readonly tape: Tape;
  readonly witness: Witness;
  readonly api: ChaosApi;
  /** Byte sequences that may be in nothing that is stored. */
  readonly canaries: Map<string, string>;
  readonly lives: Life[] = [];
  readonly deaths: Death[] = [];
  readonly blackouts: Blackout[] = [];
  /** What went wrong in sight of the harness: a node that died by itself, a process that outlived its node. */
  readonly violations: Violation[] = [];
  readonly #places: Place[];
  readonly #ground: Ground;
  readonly #resources: AsyncDisposableStack;
  readonly #ended = new AbortController();
  readonly #later: Promise<void>[] = [];
  #compacting: Promise<void> | undefined;

  private constructor(
    options: RigOptions,
    parts: {
      cluster: string;
      etcd: EtcdServer;
      s3: CephS3;
      tape: Tape;
      witness: Witness;
      ground: Ground;
      places: Place[];
    },
    canaries: Map<string, string>,
    resources: AsyncDisposableStack,
  ) {
    this.options = options;
    this.cluster = parts.cluster;
    this.etcd = parts.etcd;
    this.s3 = parts.s3;
    this.tape = parts.tape;
    this.witness = parts.witness;
    this.#ground = parts.ground;
    this.#places = parts.places;
    this.canaries = canaries;
    this.#resources = resources;
    this.api = new ChaosApi(() => this.living.map(({ life }) => life!.node.address));
  }

  static async start(options: RigOptions): Promise<Rig> {
    await using resources = new AsyncDisposableStack();
    const cluster = `acme/chaos-${randomBytes(4).toString('hex')}`;
    const etcd = resources.use(await startEtcd({ members: 3, quotaBytes: options.load.quotaBytes }));
    const s3 = resources.use(await startCeph());
    const socketPath = join(options.folder, 'witness.socket');
    const tape = resources.use(Tape.start(etcd.endpoints, `${cluster}/`));
    const witness = resources.use(await Witness.start(join(options.folder, 'witness.jsonl'), socketPath));
    const key = await makeSecretsKey(options.folder);
    const ground: Ground = {
      cluster,
      folder: join(options.folder, 'disks'),
      etcdEndpoints: etcd.endpoints,
      s3,
      secretsKeyFile: key.file,
      slots: options.load.slots,
      drainTimeout: `${DRAIN_TIMEOUT_S}s`,
      program: options.program,
    };
    const places = await preparePlaces(options.nodes, ground, { port: witness.port, socketPath }, resources);
    const canaries = new Map([
      [`the secret ${CANARY_NAME}`, `canary-${randomBytes(12).toString('hex')}`],
      ['the secret key of S3', s3.credentials.secretAccessKey],
      ['the key of the secrets', key.text],
    ]);
    const rig = new Rig(options, { cluster, etcd, s3, tape, witness, ground, places }, canaries, resources.move());
    try {
      await rig.#begin();
    } catch (error) {
      await rig[Symbol.asyncDispose]();
      throw error;
    }
    return rig;
  }

  get places(): readonly Place[] {
    return this.#places;
  }

  get living(): readonly Place[] {
    return this.places.filter(({ isAlive, life }) => isAlive && !life?.isMeantToEnd);
  }

  /** The calendar of the one node that has its own. */
  get fakeTime(): FakeTime | undefined {
    return this.places.find(({ fakeTime }) => fakeTime)?.fakeTime;
  }

  /** The network of the one node that has its own. */
  get network(): NetworkNamespace | undefined {
    return this.places.find(({ network }) => network)?.network;
  }

  /** A living one. */
  pickPlace(pick: number): Place {
    return pickFrom(this.living, pick);
  }

  /** Makes places until there are so many. Those are like each other, and nobody lives there yet. */
  async makeRoom(count: number): Promise<void> {
    while (this.places.length < count) {
      const name = `n${this.places.length + 1}`;
      this.#places.push(this.#resources.use(await Place.prepare(name, this.#ground, { hasSmallDisk: false })));
    }
  }

  /** Starts a node at a place and looks after it; tries until it lives, as etcd may be away just now. */
  async bring(place: Place, signal: AbortSignal, options: StartOptions = {}): Promise<Life> {
    for (;;) {
      signal.throwIfAborted();
      try {
        const life = await place.start(signal, options);
        this.lives.push(life);
        this.#lookAfter(life);
        return life;
      } catch (error) {
        signal.throwIfAborted();
        this.options.log(`${place.name} did not start, again: ${String(error).slice(0, 200)}`);
        await sleep(1000, undefined, { signal });
      }
    }
  }

  /** kill -9 of a node; its supervisor is not touched. */
  async kill(place: Place): Promise<void> {
    const { life } = place;
    if (!life || !place.isAlive) return;
    life.isMeantToEnd = true;
    const at = performance.now();
    this.deaths.push({ nodeId: life.nodeId, at });
    this.#later.push(this.#checkOrphans(life, at));
    life.node.process.kill('SIGKILL');
    await life.node.ended;
  }

  /** SIGTERM; resolves when the node has gone, as it must with 0 and in time. */
  async drain(place: Place, signal: AbortSignal): Promise<void> {
    const { life } = place;
    if (!life || !place.isAlive) return;
    life.isMeantToEnd = true;
    life.node.process.kill('SIGTERM');
    const limit = AbortSignal.any([signal, AbortSignal.timeout(LEAVE_LIMIT_MS)]);
    const code = await Promise.race([life.node.ended, fired(limit).then(() => 'late' as const)]);
    signal.throwIfAborted();
    const wasShot = this.deaths.some(({ nodeId }) => nodeId === life.nodeId);
    if (code === 'late') await this.kill(place);
    if (code === 0 || wasShot) return;
    const what = code === 'late' ? `had not ended ${LEAVE_LIMIT_MS / 1000} s after` : `ended with ${code} when`;
    this.report('node', life.nodeId, `${what} it was told to drain: ${life.node.output().slice(-1000)}`);
  }

  report(invariant: string, subject: string, text: string): void {
    this.violations.push({ invariant, subject, text });
  }

  /** What was promised to be looked at later has been. */
  async settled(): Promise<void> {
    await Promise.all(this.#later);
  }

  /** Compacts what the tape has, and nothing that it lacks. Tells whether that was possible. */
  compact(): Promise<boolean> {
    return this.onAnyMember('/v3/kv/compaction', { revision: String(this.tape.head) }).then(
      () => true,
      () => false,
    );
  }

  /** Calls etcd's JSON gateway at whichever member answers. */
  async onAnyMember(path: string, body: object): Promise<Record<string, unknown>> {
    let last: unknown;
    for (const endpoint of this.etcd.endpoints) {
      try {
        return await this.etcd.request(path, body, endpoint);
      } catch (error) {
        last = error;
      }
    }
    throw last;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort();
    await Promise.allSettled([...this.#later, this.#compacting]);
    await this.#resources.disposeAsync();
  }

  async #begin(): Promise<void> {
    const signal = AbortSignal.any([this.#ended.signal, AbortSignal.timeout(120_000)]);
    const [first, ...others] = this.places;
    const { node } = await this.bring(first!, signal);
    if (node.adminToken === undefined) throw new Error(`The first node has formed no cluster: ${node.output()}`);
    this.api.token = node.adminToken;
    this.canaries.set('the admin token', node.adminToken);
    for (const place of others) await this.bring(place, signal);
    const value = [...this.canaries.values()][0];
    await this.api.request('PUT', `/v1/secrets/${CANARY_NAME}`, { value }, signal);
    this.#compacting = this.#keepSmall();
  }

  #lookAfter(life: Life): void {
    void life.node.ended.then(code => {
      if (life.isMeantToEnd || this.#ended.signal.aborted) return;
      this.report('node', life.nodeId, `ended by itself with ${code}: ${life.node.output().slice(-1500)}`);
      this.#later.push(
        this.bring(life.place, this.#ended.signal).then(
          () => undefined,
          () => undefined,
        ),
      );
    });
  }

  async #checkOrphans({ nodeId, node }: Life, diedAt: number): Promise<void> {
    const { signal } = this.#ended;
    await node.ended;
    await sleep(ORPHANS_AFTER_MS, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    const attempts = attemptsOf(this.tape, this.cluster, nodeId, diedAt);
    for (const { pid, task, fence } of await findTaskProcesses(this.cluster))
      if (attempts.has(attemptName({ task, fence })))
        this.report('I11', task, `process ${pid} of fence ${fence} lives 10 s after ${nodeId} was killed`);
  }

  /** As an operator's periodic compaction does. */
  async #keepSmall(): Promise<void> {
    const { signal } = this.#ended;
    while (!signal.aborted) {
      await sleep(COMPACT_EVERY_MS, undefined, { signal }).catch(() => undefined);
      if (!signal.aborted) await this.compact();
    }
  }
}

async function makeSecretsKey(folder: string): Promise<{ readonly text: string; readonly file: string }> {
  const key = { text: randomBytes(32).toString('base64'), file: join(folder, 'secrets-key') };
  await writeFile(key.file, key.text, { mode: 0o600 });
  return key;
}

/** The first one has a small disk, the second one a calendar, the third one a network of its own, where that can be had. */
async function preparePlaces(
  count: number,
  ground: Ground,
  witness: { readonly port: number; readonly socketPath: string },
  resources: AsyncDisposableStack,
): Promise<Place[]> {
  await mkdir(ground.folder, { mode: 0o711 });
  const places: Place[] = [];
  for (let at = 0; at < count; at++) {
    const hasSmallDisk = at === 0 && process.getuid?.() === 0;
    const hasFakeTime = at === 1 && whyNoFakeTime() === undefined;
    const fakeTime = hasFakeTime ? await FakeTime.prepare(dirname(ground.folder), process.execPath) : undefined;
    const hasNetwork = at === 2 && whyNoNetworkNamespace() === undefined;
    const network = hasNetwork
      ? resources.use(await NetworkNamespace.start(witness.port, witness.socketPath))
      : undefined;
    places.push(resources.use(await Place.prepare(`n${at + 1}`, ground, { hasSmallDisk, fakeTime, network })));
  }
  return places;
}

/** The attempts that a node has begun before a time: its locks, as the tape has them. */
function attemptsOf(tape: Tape, cluster: string, nodeId: string, before: number): Set<string> {
  const suffix = '.lock';
  const locks = tape.events.filter(
    ({ key, kind, at }) => kind === 'put' && key.endsWith(suffix) && at <= before + 1000,
  );
  const own = locks.filter(({ value }) => (JSON.parse(value!) as { node: string }).node === nodeId);
  const taskOf = (key: string) => key.slice(`${cluster}/tasks/`.length, -suffix.length);
  return new Set(own.map(({ key, revision }) => attemptName({ task: taskOf(key), fence: revision })));
}

function fired(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
