import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { CiError } from '../../shared/errors.ts';
import { type Greeting, greetingLine, PSK_TLS } from './pod-messages.ts';

const KEEP_ALIVE_MS = 15_000;

/** How a pod finds its node, and proves that it is the one that is expected. */
export interface NodeLink {
  readonly host: string;
  readonly port: number;
  /** Of the pod. */
  readonly name: string;
  readonly key: Buffer;
}

/** Connects to the node, and says what for. */
export function dialNode({ host, port, name, key }: NodeLink, greeting: Greeting): Promise<TLSSocket> {
  const options: ConnectionOptions & { allowHalfOpen: boolean } = {
    ...PSK_TLS,
    host,
    port,
    allowHalfOpen: true,
    // No certificates: who knows the secret is the node.
    checkServerIdentity: () => undefined,
    pskCallback: () => ({ psk: key, identity: name }),
  };
  return new Promise((resolve, reject) => {
    const socket = connect(options);
    const fail = (cause?: Error) =>
      reject(new CiError('unavailable', `Cannot reach the node of this task at ${host}:${port}`, { cause }));
    socket.on('error', error => {
      fail(error);
      socket.destroy();
    });
    socket.on('close', () => fail());
    socket.on('secureConnect', () => {
      socket.setKeepAlive(true, KEEP_ALIVE_MS);
      socket.setNoDelay(true);
      socket.write(greetingLine(greeting));
      resolve(socket);
    });
  });
}
