import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface CertificateFiles {
  readonly ca: string;
  readonly server: { readonly cert: string; readonly key: string };
  readonly client: { readonly cert: string; readonly key: string };
  /** A client that another authority vouches for, and that authority. */
  readonly stranger: { readonly ca: string; readonly cert: string; readonly key: string };
}

/** Makes an authority, a server certificate for 127.0.0.1 and localhost, and client certificates, with openssl. */
export function makeCertificates(dir: string): CertificateFiles {
  const ca = makeAuthority(dir, 'ca');
  const strangers = makeAuthority(dir, 'stranger-ca');
  return {
    ca: ca.cert,
    // etcd's gateway calls its own server with the server's certificate, so that is a client's too.
    server: makeCertificate(dir, 'server', ca, 'serverAuth,clientAuth'),
    client: makeCertificate(dir, 'client', ca, 'clientAuth'),
    stranger: { ca: strangers.cert, ...makeCertificate(dir, 'stranger', strangers, 'clientAuth') },
  };
}

export interface Pair {
  readonly cert: string;
  readonly key: string;
}

export function makeAuthority(dir: string, name: string): Pair {
  const pair = { cert: join(dir, `${name}.crt`), key: join(dir, `${name}.key`) };
  makeKey(pair.key);
  openssl(
    'req',
    '-x509',
    '-new',
    '-key',
    pair.key,
    '-sha256',
    '-days',
    '30',
    '-subj',
    `/CN=${name}`,
    '-out',
    pair.cert,
  );
  return pair;
}

/** For this machine, and for more names of hosts. The common name is `name`, unless another is given. */
export function makeCertificate(
  dir: string,
  name: string,
  authority: Pair,
  usage: string,
  { hosts = [], commonName = name }: { hosts?: readonly string[]; commonName?: string } = {},
): Pair {
  const pair = { cert: join(dir, `${name}.crt`), key: join(dir, `${name}.key`) };
  const request = join(dir, `${name}.csr`);
  const extensions = join(dir, `${name}.ext`);
  makeKey(pair.key);
  openssl('req', '-new', '-key', pair.key, '-subj', `/CN=${commonName}`, '-out', request);
  writeFileSync(
    extensions,
    `subjectAltName=${['IP:127.0.0.1', 'DNS:localhost', ...hosts.map(host => `DNS:${host}`)].join(',')}\nextendedKeyUsage=${usage}\nkeyUsage=digitalSignature\nbasicConstraints=CA:FALSE\n`,
  );
  const signing = ['-CA', authority.cert, '-CAkey', authority.key, '-CAcreateserial', '-extfile', extensions];
  openssl('x509', '-req', '-in', request, ...signing, '-days', '30', '-sha256', '-out', pair.cert);
  return pair;
}

function makeKey(file: string): void {
  openssl('ecparam', '-genkey', '-name', 'prime256v1', '-noout', '-out', file);
}

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { stdio: 'pipe' });
}
