import type { Socket } from 'node:net';
import { connect, createSecureContext, type SecureContext } from 'node:tls';
import { CallCredentials, ChannelCredentials } from '@grpc/grpc-js';
import { serverNameOf } from './endpoint-host.ts';
import type { EndpointCredentials } from './probe-endpoint.ts';

/**
 * TLS to one host, for gRPC. Its own presents whatever the host is called as the server name: also an IP address, which RFC 6066
 * forbids and Node.js warns of. The certificate must be for the host in either case.
 */
export class TlsCredentials extends ChannelCredentials {
  readonly #host: string;
  readonly #context: SecureContext;

  /** @param host a name or an IP address, without brackets */
  constructor(host: string, credentials: EndpointCredentials) {
    super();
    this.#host = host;
    this.#context = createSecureContext(credentials);
  }

  _isSecure(): boolean {
    return true;
  }

  _equals(other: ChannelCredentials): boolean {
    return this === other;
  }

  _createSecureConnector(_target: unknown, _options: unknown, callCredentials = CallCredentials.createEmpty()) {
    return {
      connect: async (socket: Socket) => ({ socket: await this.#secure(socket), secure: true }),
      waitForReady: async () => undefined,
      getCallCredentials: () => callCredentials,
      destroy: () => undefined,
    };
  }

  #secure(socket: Socket): Promise<Socket> {
    const host = this.#host;
    const servername = serverNameOf(host);
    return new Promise((resolve, reject) => {
      const options = { socket, host, servername, secureContext: this.#context, ALPNProtocols: ['h2'] };
      const secured = connect(options, () => resolve(secured)).on('error', reject);
    });
  }
}
