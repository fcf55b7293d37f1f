import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** A way to a server that a test can cut, for what stands and for what comes. */
export interface CuttableProxy extends AsyncDisposable {
  readonly url: string;
  /** Ends every connection in the middle of whatever it carries. */
  cut(): void;
  /** Lets `bytes` more through to the client, on each connection, and cuts it then. */
  cutAfter(bytes: number): void;
  /** Connections that were opened so far. */
  readonly opened: number;
}

export async function startProxy(target: string): Promise<CuttableProxy> {
  const sockets = new Set<Socket>();
  let limit = Number.POSITIVE_INFINITY;
  let opened = 0;
  const server = createServer(client => {
    opened++;
    const upstream = connect(Number(new URL(target).port), '127.0.0.1');
    const end = () => {
      client.destroy();
      upstream.destroy();
    };
    let passed = 0;
    client.on('data', data => upstream.write(data));
    upstream.on('data', data => {
      passed += data.length;
      if (passed < limit) client.write(data);
      else client.write(data.subarray(0, Math.max(0, data.length - (passed - limit))), end);
    });
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket
        .on('error', end)
        .on('close', end)
        .on('close', () => sockets.delete(socket));
    }
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut,
    cutAfter: bytes => {
      limit = bytes;
    },
    get opened() {
      return opened;
    },
    [Symbol.asyncDispose]: async () => {
      cut();
      await new Promise(resolve => server.close(resolve));
    },
  };
}
