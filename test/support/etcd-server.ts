import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EtcdOptions } from '../../node-runtime/store/etcd-options.ts';
import { type CertificateFiles, makeCertificates } from './certificates.ts';
import { freePorts } from './free-ports.ts';

export interface StartEtcdOptions {
  /** 1 or 3. Default: 1. */
  readonly members?: 1 | 3;
  /** 'server': clients check the server. 'mutual': the server asks for a client certificate too. Default: plain HTTP. */
  readonly tls?: 'server' | 'mutual';
  /** Switches on user names and passwords: root/root-password, and ci/ci-password who may only touch `ci/`. */
  readonly auth?: boolean;
  readonly tokenTtlSeconds?: number;
  readonly quotaBytes?: number;
  /** How often it compacts by itself, such as 5m. Default: never. */
  readonly compactEvery?: string;
}

interface EtcdMember {
  readonly endpoint: string;
  readonly pid: number;
  /** SIGTERM, SIGKILL; resolve when the process has ended. */
  stop(): Promise<void>;
  kill(): Promise<void>;
  /** SIGSTOP and SIGCONT: it holds its connections and says nothing. */
  pause(): void;
  resume(): void;
  /** Starts the process again, with its data; resolves when it answers. */
  restart(): Promise<void>;
}

export interface EtcdServer extends AsyncDisposable {
  readonly endpoints: readonly [string, ...string[]];
  readonly members: readonly EtcdMember[];
  /** To connect with: its addresses, its authority and a client certificate, user and password. */
  readonly options: EtcdOptions;
  readonly certificates: CertificateFiles | undefined;
  /** Calls etcd's JSON gateway, such as `/v3/kv/compaction`, as root where passwords are wanted. */
  request(path: string, body: object, endpoint?: string): Promise<Record<string, unknown>>;
  leader(): Promise<EtcdMember>;
  /** Makes another member the leader; resolves when it is. */
  moveLeader(): Promise<void>;
}

const ETCD_ROOT = { user: 'root', password: 'root-password' };
export const ETCD_USER = { user: 'ci', password: 'ci-password' };

function etcdIsInstalled(): boolean {
  return (process.env.PATH ?? '').split(delimiter).some(dir => existsSync(join(dir, 'etcd')));
}

/** Whether the test may go on. Without etcd it is skipped, or fails where CI=true. */
export function requireEtcd(t: TestContext): boolean {
  if (etcdIsInstalled()) return true;
  if (process.env.CI === 'true') throw new Error('etcd is not installed, and CI=true allows no skipping');
  t.skip('etcd is not installed (Debian: apt-get install etcd-server)');
  return false;
}

/** Real etcd processes on free ports of the loopback interface, with an empty data folder; ends with `await using`. */
export async function startEtcd(options: StartEtcdOptions = {}): Promise<EtcdServer> {
  for (let attempt = 1; ; attempt++) {
    const etcd = await Cluster.create(options);
    try {
      await etcd.start();
      return etcd;
    } catch (error) {
      await etcd[Symbol.asyncDispose]();
      // Somebody else may have taken a port between finding it free and using it.
      if (attempt === 3) throw error;
    }
  }
}

const READY_MS = 30_000;

class Cluster implements EtcdServer {
  readonly members: readonly Member[];
  readonly certificates: CertificateFiles | undefined;
  readonly #dir: string;
  readonly #auth: boolean;
  #token: string | undefined;

  private constructor(dir: string, certificates: CertificateFiles | undefined, members: Member[], auth: boolean) {
    this.#dir = dir;
    this.certificates = certificates;
    this.members = members;
    this.#auth = auth;
  }

  static async create(options: StartEtcdOptions): Promise<Cluster> {
    const count = options.members ?? 1;
    // In memory where possible: etcd syncs each write, and tests run on busy disks.
    const dir = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'simple-ci-etcd-'));
    const certificates = options.tls && makeCertificates(dir);
    const ports = await freePorts(count * 2);
    const peers = ports.slice(count).map(port => `http://127.0.0.1:${port}`);
    const names = peers.map((peer, index) => `m${index}=${peer}`).join(',');
    const members = peers.map(
      (peer, index) => new Member(dir, index, ports[index]!, peer, names, count, options, certificates),
    );
    return new Cluster(dir, certificates, members, options.auth ?? false);
  }

  get endpoints(): readonly [string, ...string[]] {
    const [first, ...others] = this.members.map(member => member.endpoint);
    return [first!, ...others];
  }

  get options(): EtcdOptions {
    const { certificates } = this;
    return {
      endpoints: this.endpoints,
      ...(certificates && { tls: { ca: certificates.ca, ...certificates.client } }),
      ...(this.#auth && { auth: ETCD_ROOT }),
    };
  }

  async start(): Promise<void> {
    await Promise.all(this.members.map(member => member.start()));
    if (this.#auth) await this.#enableAuth();
  }

  async request(path: string, body: object, endpoint: string = this.endpoints[0]): Promise<Record<string, unknown>> {
    const member = this.members.find(other => other.endpoint === endpoint)!;
    return await member.request(path, body, this.#token);
  }

  async leader(): Promise<Member> {
    const end = performance.now() + READY_MS;
    while (performance.now() < end) {
      for (const member of this.members) {
        const status = await member.status(this.#token).catch(() => undefined);
        if (status && status.leader === status.id) return member;
      }
      await sleep(20);
    }
    throw new Error('etcd has no leader');
  }

  async moveLeader(): Promise<void> {
    const old = await this.leader();
    const next = this.members.find(member => member !== old)!;
    const { id } = await next.status(this.#token);
    await old.request('/v3/maintenance/transfer-leadership', { targetID: id }, this.#token);
    const end = performance.now() + READY_MS;
    while ((await this.leader()) === old) {
      if (performance.now() > end) throw new Error('etcd has not moved its leader');
      await sleep(20);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.members.map(member => member.kill()));
    rmSync(this.#dir, { recursive: true, force: true });
  }

  async #enableAuth(): Promise<void> {
    const key = Buffer.from('ci/').toString('base64');
    const end = Buffer.from('ci0').toString('base64');
    await this.request('/v3/auth/user/add', { name: ETCD_ROOT.user, password: ETCD_ROOT.password });
    await this.request('/v3/auth/role/add', { name: 'root' });
    await this.request('/v3/auth/user/grant', { user: ETCD_ROOT.user, role: 'root' });
    await this.request('/v3/auth/user/add', { name: ETCD_USER.user, password: ETCD_USER.password });
    await this.request('/v3/auth/role/add', { name: 'ci' });
    await this.request('/v3/auth/role/grant', { name: 'ci', perm: { permType: 'READWRITE', key, range_end: end } });
    await this.request('/v3/auth/user/grant', { user: ETCD_USER.user, role: 'ci' });
    await this.request('/v3/auth/enable', {});
    const granted = await this.request('/v3/auth/authenticate', { name: ETCD_ROOT.user, password: ETCD_ROOT.password });
    this.#token = granted.token as string;
  }
}

class Member implements EtcdMember {
  readonly endpoint: string;
  readonly #args: readonly string[];
  readonly #certificates: CertificateFiles | undefined;
  #child: ChildProcess | undefined;
  #errors = '';

  constructor(
    dir: string,
    index: number,
    port: number,
    peer: string,
    names: string,
    count: number,
    options: StartEtcdOptions,
    certificates: CertificateFiles | undefined,
  ) {
    this.#certificates = certificates;
    this.endpoint = `${certificates ? 'https' : 'http'}://127.0.0.1:${port}`;
    const data = join(dir, `m${index}`);
    mkdirSync(data, { mode: 0o700 });
    this.#args = [
      ...['--name', `m${index}`, '--data-dir', data, '--logger=zap', '--log-level=warn', '--log-outputs=stderr'],
      ...['--listen-client-urls', this.endpoint, '--advertise-client-urls', this.endpoint],
      ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
      ...['--initial-cluster', names, '--initial-cluster-state', 'new', '--initial-cluster-token', dir],
      // A lone member may call its election soon; three on a busy machine must not call one for every hiccup.
      ...(count === 1 ? ['--heartbeat-interval=20', '--election-timeout=200'] : []),
      ...(count === 3 ? ['--heartbeat-interval=100', '--election-timeout=1000'] : []),
      ...(options.compactEvery ? [`--auto-compaction-retention=${options.compactEvery}`] : []),
      ...(options.quotaBytes ? [`--quota-backend-bytes=${options.quotaBytes}`] : []),
      ...(options.tokenTtlSeconds ? [`--auth-token-ttl=${options.tokenTtlSeconds}`] : []),
      ...(certificates ? ['--cert-file', certificates.server.cert, '--key-file', certificates.server.key] : []),
      ...(certificates && options.tls === 'mutual' ? ['--client-cert-auth', '--trusted-ca-file', certificates.ca] : []),
    ];
  }

  get pid(): number {
    return this.#child!.pid!;
  }

  async start(): Promise<void> {
    this.#errors = '';
    const child = spawnTied('etcd', this.#args);
    this.#child = child;
    child.stderr!.on('data', chunk => {
      this.#errors = (this.#errors + chunk).slice(-4000);
    });
    const end = performance.now() + READY_MS;
    while (!(await this.#isHealthy())) {
      if (child.exitCode !== null || performance.now() > end) throw new Error(`etcd did not start: ${this.#errors}`);
      await sleep(15);
    }
  }

  restart(): Promise<void> {
    return this.start();
  }

  stop(): Promise<void> {
    return this.#end('SIGTERM');
  }

  kill(): Promise<void> {
    return this.#end('SIGKILL');
  }

  pause(): void {
    process.kill(this.pid, 'SIGSTOP');
  }

  resume(): void {
    process.kill(this.pid, 'SIGCONT');
  }

  async status(token?: string): Promise<{ id: string; leader: string }> {
    const status = await this.request('/v3/maintenance/status', {}, token);
    return { id: (status.header as { member_id: string }).member_id, leader: status.leader as string };
  }

  async request(path: string, body: object, token?: string): Promise<Record<string, unknown>> {
    const { status, text } = await this.#http('POST', path, JSON.stringify(body), token);
    if (status !== 200) throw new Error(`etcd answered ${status} to ${path}: ${text}`);
    return JSON.parse(text) as Record<string, unknown>;
  }

  /** Its health is that of a linearizable read: there is a leader. */
  async #isHealthy(): Promise<boolean> {
    const answer = await this.#http('GET', '/health').catch(() => undefined);
    return answer?.status === 200;
  }

  #http(method: string, path: string, body?: string, token?: string): Promise<{ status: number; text: string }> {
    const files = this.#certificates;
    const tls = files && {
      ca: readFileSync(files.ca),
      cert: readFileSync(files.client.cert),
      key: readFileSync(files.client.key),
    };
    const headers = token ? { authorization: token } : {};
    return new Promise((resolve, reject) => {
      const send = files ? httpsRequest : httpRequest;
      const request = send(this.endpoint + path, { method, headers, timeout: 5000, agent: false, ...tls }, response => {
        let text = '';
        response.setEncoding('utf8').on('data', chunk => {
          text += chunk;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
        response.on('error', reject);
      });
      request.on('timeout', () => request.destroy(new Error(`etcd did not answer ${path}`)));
      request.on('error', reject).end(body);
    });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise(resolve => child.once('exit', resolve));
    child.kill('SIGCONT');
    child.kill(signal);
    await ended;
  }
}

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** A process that does not outlive this one, even if this one is killed. */
function spawnTied(command: string, args: readonly string[]): ChildProcess {
  // Whatever ETCD_* there is in the environment, etcd would take it for an option.
  const env = { PATH: process.env.PATH ?? '' };
  const tie = existsSync('/usr/bin/setpriv') ? ['/usr/bin/setpriv', '--pdeathsig', 'KILL', '--'] : [];
  const [first, ...rest] = [...tie, command, ...args];
  const child = spawn(first!, rest, { env, stdio: ['ignore', 'ignore', 'pipe'] });
  running.add(child);
  child.once('exit', () => running.delete(child));
  child.once('error', () => running.delete(child));
  return child;
}
