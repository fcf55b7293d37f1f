import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { accessSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { CEPH_FSID, CEPH_OSD_ID, type CephLayout, cephConfig, cephKeyring } from './ceph-config.ts';

/** A real S3 with a fresh bucket. */
export interface CephS3 extends AsyncDisposable {
  readonly endpoint: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  /** The credentials as a node's process gets them. */
  readonly environment: { readonly AWS_ACCESS_KEY_ID: string; readonly AWS_SECRET_ACCESS_KEY: string };
  readonly bucket: string;
  /** For `--s3`: this bucket here. */
  readonly address: string;
  createBucket(): Promise<string>;
}

/** One that belongs to this test, which may hurt it. */
export interface OwnCephS3 extends CephS3 {
  readonly gateway: Gateway;
}

/** The process that speaks S3. What it has acknowledged is kept by another one and outlives it. */
export interface Gateway {
  /** kill -9 */
  kill(): Promise<void>;
  /** Starts it again, at the same address, and waits until it answers. */
  start(): Promise<void>;
  /** Stops it without closing its connections: it hangs. */
  pause(): void;
  resume(): void;
}

const LIMIT_MS = 90_000;
const MISSING = 'Ceph is not installed: apt-get install ceph-mon ceph-osd radosgw';
const PROGRAMS = ['ceph-mon', 'ceph-osd', 'radosgw', 'radosgw-admin', 'ceph', 'monmaptool', 'setpriv'];
const execute = promisify(execFile);

export function cephIsInstalled(): boolean {
  const folders = ['/usr/bin', '/usr/sbin', '/bin', '/usr/local/bin'];
  return PROGRAMS.every(program => folders.some(folder => isThere(join(folder, program))));
}

/** Why tests that need a Ceph are skipped here, if they are. In CI they are not: there a missing one is a failure. */
export function whyNoCeph(): string | false {
  if (sharedCeph() !== undefined || cephIsInstalled() || process.env.CI === 'true') return false;
  return MISSING;
}

/** The Ceph that the test program has started for all its tests, with a bucket of one's own; else one of one's own. */
export async function startCeph(): Promise<CephS3> {
  const shared = sharedCeph();
  return shared === undefined ? startOwnCeph() : describe(shared.endpoint, shared.credentials, async () => undefined);
}

/** About 2 s. It ends when it is disposed of, and also when this process dies. */
export async function startOwnCeph(): Promise<OwnCephS3> {
  if (!cephIsInstalled()) throw new Error(MISSING);
  for (let tries = 1; ; tries++) {
    try {
      return await startOnFreePorts();
    } catch (error) {
      // Another program may have taken a port between the look and the start.
      if (tries === 3) throw error;
    }
  }
}

async function startOnFreePorts(): Promise<OwnCephS3> {
  const directory = await mkdtemp(join(tmpdir(), 'simple-ci-ceph-'));
  await using started = new AsyncDisposableStack();
  started.defer(() => rm(directory, { recursive: true, force: true, maxRetries: 3 }));
  const ports = { monitor: await freePort(), storage: randomInt(10_000, 32_000), gateway: await freePort() };
  const layout = { directory, ports };
  await prepare(layout);
  await startMonitor(layout, started);
  await startStorage(layout, started);
  const credentials = await createUser(layout);
  const gateway = new GatewayProcess(layout);
  started.defer(() => gateway.kill());
  await gateway.start();
  const whole = started.move();
  const s3 = await describe(gateway.endpoint, credentials, () => whole.disposeAsync());
  return Object.assign(s3, { gateway });
}

async function prepare({ directory, ports }: CephLayout): Promise<void> {
  for (const name of ['mon', 'osd', 'run', 'gateway']) await mkdir(join(directory, name));
  await writeFile(join(directory, 'ceph.conf'), cephConfig({ directory, ports }));
  await writeFile(join(directory, 'keyring'), cephKeyring(), { mode: 0o600 });
}

async function startMonitor({ directory, ports }: CephLayout, started: AsyncDisposableStack): Promise<void> {
  const map = join(directory, 'monmap');
  const address = `[v2:127.0.0.1:${ports.monitor}]`;
  await run(directory, 'monmaptool', ['--create', '--clobber', '--fsid', CEPH_FSID, '--addv', 'a', address, map]);
  const keyring = join(directory, 'keyring');
  await run(directory, 'ceph-mon', ['--mkfs', '-i', 'a', '--monmap', map, '--keyring', keyring]);
  started.use(serve(directory, 'ceph-mon', ['-i', 'a', '-f']));
}

async function startStorage({ directory }: CephLayout, started: AsyncDisposableStack): Promise<void> {
  await run(directory, 'ceph', ['--connect-timeout', '30', 'osd', 'new', CEPH_OSD_ID]);
  await run(directory, 'ceph-osd', ['-i', '0', '--mkfs', '--osd-uuid', CEPH_OSD_ID]);
  started.use(serve(directory, 'ceph-osd', ['-i', '0', '-f']));
}

/** Waits, as a side effect, until the storage works. */
async function createUser({ directory }: CephLayout): Promise<CephS3['credentials']> {
  const accessKeyId = randomBytes(10).toString('hex').toUpperCase();
  const secretAccessKey = randomBytes(20).toString('hex');
  const keys = [`--access-key=${accessKeyId}`, `--secret=${secretAccessKey}`];
  await run(directory, 'radosgw-admin', ['user', 'create', '--uid=ci', '--display-name=ci', ...keys]);
  return { accessKeyId, secretAccessKey };
}

class GatewayProcess implements Gateway {
  readonly endpoint: string;
  readonly #directory: string;
  #process: ServerProcess | undefined;

  constructor({ directory, ports }: CephLayout) {
    this.#directory = directory;
    this.endpoint = `http://127.0.0.1:${ports.gateway}`;
  }

  async start(): Promise<void> {
    const gateway = serve(this.#directory, 'radosgw', ['-n', 'client.rgw.a', '-f']);
    this.#process = gateway;
    const end = Date.now() + LIMIT_MS;
    while (!(await this.#answers())) {
      if (gateway.hasEnded() || Date.now() > end)
        throw new Error(
          `Cannot start radosgw at ${this.endpoint}: ${await lastWords(this.#directory, 'client.rgw.a')}`,
        );
      await sleep(20);
    }
  }

  async kill(): Promise<void> {
    await this.#process?.[Symbol.asyncDispose]();
    this.#process = undefined;
  }

  pause(): void {
    this.#process?.signal('SIGSTOP');
  }

  resume(): void {
    this.#process?.signal('SIGCONT');
  }

  async #answers(): Promise<boolean> {
    return fetch(this.endpoint, { signal: AbortSignal.timeout(2000) }).then(
      async answer => (await answer.bytes()).length > 0,
      () => false,
    );
  }
}

interface ServerProcess extends AsyncDisposable {
  signal(name: NodeJS.Signals): void;
  hasEnded(): boolean;
}

/** A process that lasts until it is disposed of. The kernel kills it when this process dies, however that happens. */
function serve(directory: string, program: string, args: readonly string[]): ServerProcess {
  const command = ['--pdeathsig', 'KILL', '--', program, ...configured(directory), ...args];
  const child: ChildProcess = spawn('setpriv', command, { stdio: 'ignore' });
  const ended = new Promise<void>(resolve => child.once('exit', () => resolve()).once('error', () => resolve()));
  child.unref();
  return {
    signal: name => void child.kill(name),
    hasEnded: () => child.exitCode !== null || child.signalCode !== null,
    [Symbol.asyncDispose]: async () => {
      child.ref();
      if (child.kill('SIGKILL')) await ended;
    },
  };
}

async function run(directory: string, program: string, args: readonly string[]): Promise<void> {
  const connected = program === 'monmaptool' ? args : [...configured(directory), ...args];
  await execute('setpriv', ['--pdeathsig', 'KILL', '--', program, ...connected], { timeout: LIMIT_MS });
}

function configured(directory: string): readonly string[] {
  return ['-c', join(directory, 'ceph.conf')];
}

function sharedCeph(): Pick<CephS3, 'endpoint' | 'credentials'> | undefined {
  const endpoint = process.env.SIMPLE_CI_TEST_S3_ENDPOINT;
  const accessKeyId = process.env.SIMPLE_CI_TEST_S3_KEY;
  const secretAccessKey = process.env.SIMPLE_CI_TEST_S3_SECRET;
  if (!endpoint || !accessKeyId || !secretAccessKey) return undefined;
  return { endpoint, credentials: { accessKeyId, secretAccessKey } };
}

async function describe(
  endpoint: string,
  credentials: CephS3['credentials'],
  dispose: () => Promise<void>,
): Promise<CephS3> {
  const createBucket = () => createBucketAt(endpoint, credentials);
  const bucket = await createBucket();
  return {
    endpoint,
    credentials,
    environment: { AWS_ACCESS_KEY_ID: credentials.accessKeyId, AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey },
    bucket,
    address: `s3://${bucket}?endpoint=${encodeURIComponent(endpoint)}`,
    createBucket,
    [Symbol.asyncDispose]: dispose,
  };
}

async function createBucketAt(endpoint: string, credentials: CephS3['credentials']): Promise<string> {
  const client = new S3Client({ endpoint, credentials, region: 'us-east-1', forcePathStyle: true });
  const bucket = `test-${randomBytes(8).toString('hex')}`;
  await client.send(new CreateBucketCommand({ Bucket: bucket }));
  client.destroy();
  return bucket;
}

/** Below the ports that the system gives out by itself, so that nothing gets it before the server does. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 32_000);
    const server = createServer();
    const isFree = await new Promise<boolean>(resolve => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
    });
    if (isFree) return port;
  }
}

async function lastWords(directory: string, name: string): Promise<string> {
  const log = await readFile(join(directory, `ceph-${name}.log`), 'utf8').catch(() => '');
  return log.slice(-1000) || 'it wrote nothing';
}

function isThere(path: string): boolean {
  try {
    accessSync(path);
    return true;
  } catch {
    return false;
  }
}
