import { Readable } from 'node:stream';
import { CiError } from '../../shared/errors.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { serveSignedObject } from '../objects/serve-signed-object.ts';
import type { AddressSigner } from '../objects/signed-address.ts';
import type { Handler, Handlers } from './handlers.ts';

/** Serves the addresses that a directory store signs. Without a signer there are none. */
export function objectHandlers(parts: {
  readonly cluster: Cluster;
  readonly signedObjects?: AddressSigner | undefined;
}): Pick<Handlers, 'getObject' | 'putObject'> {
  const { cluster, signedObjects: signer } = parts;
  const serve: Handler<'getObject' | 'putObject'> = async ({ incoming, signal }) => {
    if (!signer) throw new CiError('not-found', 'Cannot serve objects as this cluster keeps its bytes elsewhere');
    const { method = '', url = '', headers } = incoming;
    const request = { method, url, range: headers.range, body: incoming };
    const { body, ...answer } = await serveSignedObject({ ...cluster, signer }, request, signal);
    return body ? { ...answer, body: Readable.from(body, { objectMode: false }) } : answer;
  };
  return { getObject: serve, putObject: serve };
}
