import { Readable } from 'node:stream';
import { CiError } from '../../shared/errors.ts';
import { quote } from '../../shared/ids.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { type AddressSigner, type Grant, verifyAddress } from '../objects/signed-address.ts';
import type { Handlers } from './handlers.ts';

type ObjectHandlers = Pick<Handlers, 'getObject' | 'putObject'>;

/** Serves the addresses that a directory store signs. Without a signer there are none. */
export function objectHandlers(parts: { cluster: Cluster; signedObjects?: AddressSigner | undefined }): ObjectHandlers {
  const { cluster, signedObjects } = parts;
  const grantOf = (method: 'GET' | 'PUT', url: string): Grant => {
    if (signedObjects) return verifyAddress(signedObjects, cluster.clock, method, url);
    throw new CiError('not-found', 'Cannot serve objects as this cluster keeps its bytes elsewhere');
  };
  return {
    getObject: async ({ incoming, signal }) => {
      const grant = grantOf('GET', incoming.url ?? '');
      const object = await cluster.objects.get(grant.key, { signal });
      if (!object) throw new CiError('not-found', `Cannot find object: ${quote(grant.key)}`);
      const headers = {
        'content-type': grant.contentType ?? 'application/octet-stream',
        'content-length': String(object.size),
        'content-disposition': attachment(grant.downloadName),
      };
      return { headers, body: Readable.from(object.bytes, { objectMode: false }) };
    },

    putObject: async ({ incoming, signal }) => {
      const grant = grantOf('PUT', incoming.url ?? '');
      await cluster.objects.put(grant.key, incoming, { signal });
      return undefined;
    },
  };
}

/** Always an attachment: what a task made must never run as a page of this origin. */
function attachment(name: string | undefined): string {
  return name === undefined
    ? 'attachment'
    : `attachment; filename*=UTF-8''${encodeURIComponent(name).replace(/'/g, '%27')}`;
}
