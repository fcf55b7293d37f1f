import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import type { ObjectStore } from '../../node-runtime/objects/object-store.ts';
import { serveSignedObject } from '../../node-runtime/objects/serve-signed-object.ts';
import type { AddressSigner } from '../../node-runtime/objects/signed-address.ts';
import { neverAborted, systemClock } from '../../node-runtime/system/clock.ts';
import { CiError, ERROR_STATUS } from '../../shared/errors.ts';

/** A server for the addresses that a directory store signs; in the product a node's API is one. */
export interface SignedObjectServer extends AsyncDisposable {
  readonly signer: AddressSigner;
  serve(objects: ObjectStore): void;
}

export async function startSignedObjectServer(): Promise<SignedObjectServer> {
  let objects: ObjectStore | undefined;
  const signer = {
    secret: Buffer.from('a secret of at least thirty-two bytes'),
    baseUrl: () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
  };
  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const { method = '', url = '' } = request;
    const parts = { objects: objects!, signer, clock: systemClock };
    try {
      const signed = { method, url, range: request.headers.range, body: request };
      const { status, headers, body } = await serveSignedObject(parts, signed, neverAborted);
      response.writeHead(status, headers);
      if (body === undefined) response.end();
      else await pipeline(body, response);
    } catch (error) {
      if (!(error instanceof CiError)) throw error;
      response.writeHead(ERROR_STATUS[error.code]).end(error.message);
    }
  };
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return {
    signer,
    serve: store => {
      objects = store;
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise(resolve => server.close(resolve));
    },
  };
}
