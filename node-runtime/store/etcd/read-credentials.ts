import { readFile } from 'node:fs/promises';
import { CiError } from '../../../shared/errors.ts';
import type { EtcdOptions } from '../etcd-options.ts';
import type { EndpointCredentials } from './probe-endpoint.ts';

/** The files that the options name. Fails with `invalid`. */
export async function readCredentials(tls: EtcdOptions['tls'] = {}): Promise<EndpointCredentials> {
  const [ca, cert, key] = await Promise.all([tls.ca, tls.cert, tls.key].map(file => file && readPem(file)));
  return { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) };
}

async function readPem(file: string): Promise<Buffer> {
  const bytes = await readFile(file).catch(cause => {
    throw new CiError('invalid', `Cannot read a certificate or key for etcd: ${file}`, { cause });
  });
  if (bytes.includes('-----BEGIN ')) return bytes;
  throw new CiError('invalid', `Cannot use a certificate or key for etcd as it is not in PEM format: ${file}`);
}
