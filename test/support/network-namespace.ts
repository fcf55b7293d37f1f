import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const execute = promisify(execFile);
const relay = fileURLToPath(new URL('network-relay-child.ts', import.meta.url));

let refusal: { readonly why: string | undefined } | undefined;

/** Why there can be no network of one's own here; undefined when there can. */
export function whyNoNetworkNamespace(): string | undefined {
  refusal ??= { why: findRefusal() };
  return refusal.why;
}

function findRefusal(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'only root on Linux can make network namespaces';
  for (const program of ['ip', 'iptables', 'nsenter', 'unshare', 'setpriv'])
    if (spawnSync(program, ['--version'], { stdio: 'ignore' }).error) return `${program} is not installed`;
  const trial = 'ip link set lo up && ip link add v0 type veth peer name v1 && iptables -A INPUT -i v0 -j DROP';
  const { status, stderr } = spawnSync('unshare', ['--net', '--', 'sh', '-c', trial], { encoding: 'utf8' });
  return status === 0 ? undefined : `this machine does not allow it: ${stderr.trim().slice(0, 200)}`;
}

/** What becomes of packets between it and the rest of the machine. */
export type Cut = 'both ways' | 'what comes in' | 'link down';

/**
 * A network with one cable, to the machine that it is on. It lives as long as the process that holds it and those that were put
 * into it, all of which die with this one: nothing is left behind, however it ends, as the kernel takes the cable away with it.
 */
export class NetworkNamespace implements AsyncDisposable {
  /** Of the machine, as seen from inside; of the inside, as seen from the machine. */
  readonly outer: string;
  readonly inner: string;
  readonly #holder: ChildProcess;
  readonly #ended: Promise<unknown>;

  private constructor(holder: ChildProcess, subnet: string) {
    this.#holder = holder;
    this.#ended = once(holder, 'close');
    this.outer = `${subnet}.1`;
    this.inner = `${subnet}.2`;
  }

  /** @param port of this machine's loopback that is served inside, too, through a socket in a file system that both see */
  static async start(port: number, socketPath: string): Promise<NetworkNamespace> {
    // Of the addresses that are kept for trying networks out.
    const subnet = `198.18.${process.pid % 256}`;
    const inside = [
      'sh',
      '-c',
      'ip link set lo up && exec "$0" "$@"',
      process.execPath,
      relay,
      String(port),
      socketPath,
    ];
    const holder = spawn('unshare', ['--net', '--', 'setpriv', '--pdeathsig', 'KILL', '--', ...inside], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const network = new NetworkNamespace(holder, subnet);
    try {
      await Promise.race([
        once(holder.stdout!, 'data'),
        network.#ended.then(() => Promise.reject(new Error('It did not start'))),
      ]);
      await network.#connect();
      return network;
    } catch (error) {
      await network[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** What puts the program that follows into it. */
  get command(): readonly string[] {
    return ['nsenter', `--net=/proc/${this.#holder.pid}/ns/net`, '--'];
  }

  async cut(how: Cut): Promise<void> {
    if (how === 'link down') await this.#inside('ip', 'link', 'set', 'eth0', 'down');
    if (how !== 'link down') await this.#inside('iptables', '-A', 'INPUT', '-i', 'eth0', '-j', 'DROP');
    if (how === 'both ways') await this.#inside('iptables', '-A', 'OUTPUT', '-o', 'eth0', '-j', 'DROP');
  }

  async mend(): Promise<void> {
    await this.#inside('iptables', '-F');
    await this.#inside('ip', 'link', 'set', 'eth0', 'up');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#holder.kill('SIGKILL');
    await this.#ended;
  }

  async #connect(): Promise<void> {
    const cable = `sci${this.#holder.pid}`;
    await execute('ip', [
      'link',
      'add',
      cable,
      'type',
      'veth',
      'peer',
      'name',
      'eth0',
      'netns',
      String(this.#holder.pid),
    ]);
    await execute('ip', ['addr', 'add', `${this.outer}/30`, 'dev', cable]);
    await execute('ip', ['link', 'set', cable, 'up']);
    await this.#inside('ip', 'addr', 'add', `${this.inner}/30`, 'dev', 'eth0');
    await this.#inside('ip', 'link', 'set', 'eth0', 'up');
  }

  async #inside(...argv: string[]): Promise<void> {
    const [enter, ...rest] = this.command;
    await execute(enter!, [...rest, ...argv]);
  }
}
