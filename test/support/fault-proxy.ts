import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

export interface Faults {
  /** Milliseconds by which bytes are late, in each direction. */
  readonly latencyMs?: number;
  /** Swallows bytes on their way to the server, from it, or both; connections stay open. */
  readonly blackhole?: 'up' | 'down' | 'both';
  /** Resets new connections at once. */
  readonly refuse?: boolean;
  /** Resets a connection after so many more bytes from the server. */
  readonly cutAfterBytes?: number;
}

/**
 * Looks at bytes on their way to the server. `hold`: they stay here, and all that follow them on that connection, until
 * `release`. `mute`: they go on, and nothing comes back on that connection any more.
 */
export type Trap = (bytes: Buffer) => 'pass' | 'hold' | 'mute';

interface Connection {
  readonly client: Socket;
  readonly server: Socket;
  left: number;
  held: Buffer[] | undefined;
  isMute: boolean;
}

/** A TCP proxy before a real server, with faults that may change while connections are open. */
export class FaultProxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #connections = new Set<Connection>();
  readonly #target: URL;
  readonly #host: string;
  #faults: Faults = {};
  /** Sees all that is sent to the server, while there is one. */
  trap: Trap | undefined;
  /** Connections made so far. */
  accepted = 0;
  /** How often a fault has met something: bytes that were swallowed or late, a connection that was refused or cut. */
  hindered = 0;
  /** What a black hole has kept from the server. */
  readonly swallowed: Buffer[] = [];

  private constructor(target: URL, host: string) {
    this.#target = target;
    this.#host = host;
    this.#server = createServer({ noDelay: true }, client => this.#accept(client));
  }

  /**
   * @param target such as `http://127.0.0.1:2379`
   * @param place where it is reached; absent: some port of this machine
   */
  static async start(
    target: string,
    place: { readonly host?: string; readonly port?: number } = {},
  ): Promise<FaultProxy> {
    const { host = '127.0.0.1', port = 0 } = place;
    const proxy = new FaultProxy(new URL(target), host);
    await new Promise<void>((resolve, reject) => {
      proxy.#server.once('error', reject).listen(port, host, resolve);
    });
    return proxy;
  }

  /** Where to connect to instead of to the target. */
  get endpoint(): string {
    return `${this.#target.protocol}//${this.#host}:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Replaces the faults there are; without any, all goes through. */
  set(faults: Faults): void {
    this.#faults = faults;
    for (const connection of this.#connections) connection.left = faults.cutAfterBytes ?? Number.POSITIVE_INFINITY;
  }

  /** Sends on what traps have held back, late as it is. */
  release(): void {
    for (const connection of this.#connections) {
      for (const bytes of connection.held ?? []) connection.server.write(bytes);
      connection.held = undefined;
    }
  }

  /** Resets all open connections. */
  cut(): void {
    this.hindered += this.#connections.size;
    for (const { client, server } of this.#connections) {
      client.resetAndDestroy();
      server.destroy();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    await new Promise(resolve => this.#server.close(resolve));
  }

  #accept(client: Socket): void {
    this.accepted++;
    client.on('error', () => undefined);
    if (this.#faults.refuse) {
      this.hindered++;
      client.resetAndDestroy();
      return;
    }
    const server = connect({ host: this.#target.hostname, port: Number(this.#target.port), noDelay: true });
    const left = this.#faults.cutAfterBytes ?? Number.POSITIVE_INFINITY;
    const connection: Connection = { client, server, left, held: undefined, isMute: false };
    this.#connections.add(connection);
    server.on('error', () => client.resetAndDestroy());
    server.on('close', () => client.destroy());
    client.on('close', () => {
      this.#connections.delete(connection);
      server.destroy();
    });
    client.on('data', bytes => this.#pass(connection, 'up', bytes));
    server.on('data', bytes => this.#pass(connection, 'down', bytes));
  }

  #pass(connection: Connection, direction: 'up' | 'down', bytes: Buffer): void {
    if (direction === 'up' ? this.#isHeld(connection, bytes) : connection.isMute) return;
    const { latencyMs, blackhole } = this.#faults;
    const isSwallowed = blackhole === 'both' || blackhole === direction;
    if (isSwallowed || latencyMs) this.hindered++;
    if (isSwallowed) {
      if (direction === 'up') this.swallowed.push(bytes);
      return;
    }
    const to = direction === 'up' ? connection.server : connection.client;
    const allowed = direction === 'up' ? bytes : this.#allowed(connection, bytes);
    const write = () => {
      if (!to.destroyed && !to.write(allowed)) this.#waitForDrain(connection, direction, to);
      if (allowed.length < bytes.length) connection.client.resetAndDestroy();
    };
    // Timers of the same length fire in their order, so bytes keep theirs.
    if (latencyMs) setTimeout(write, latencyMs);
    else write();
  }

  #isHeld(connection: Connection, bytes: Buffer): boolean {
    const verdict = connection.held ? 'hold' : this.trap?.(bytes);
    if (verdict === 'mute') connection.isMute = true;
    if (verdict === 'hold') connection.held = [...(connection.held ?? []), bytes];
    return connection.held !== undefined;
  }

  #allowed(connection: Connection, bytes: Buffer): Buffer {
    const allowed = bytes.subarray(0, Math.min(bytes.length, connection.left));
    connection.left -= bytes.length;
    return allowed;
  }

  #waitForDrain(connection: Connection, direction: 'up' | 'down', to: Socket): void {
    const from = direction === 'up' ? connection.client : connection.server;
    from.pause();
    to.once('drain', () => from.resume());
  }
}
