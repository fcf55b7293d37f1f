import { CiError } from '../../shared/errors.ts';

/** Where etcd is and how to be let in. */
export interface EtcdOptions {
  /** Origins of all members that may be asked, each with its port: `https://10.0.0.1:2379`. All http or all https. */
  readonly endpoints: readonly [string, ...string[]];
  /** Files in PEM: who signed the servers' certificates (default: the authorities that Node.js knows), and the client's own. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
  readonly auth?: { readonly user: string; readonly password: string };
}

/** What was said besides the addresses. */
export interface EtcdCredentials {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly user?: string;
  readonly password?: string;
}

const DEFAULT_PORT = '2379';

/**
 * Reads `https://a:2379,b:2379`: members divided by commas; those without a scheme have the first one's, which is http
 * unless told. Missing ports are 2379, IPv6 addresses stand in brackets. A user and password may stand before the first
 * address, but are better given on their own: command lines can be seen by others. Fails with `invalid`.
 */
export function parseEtcdOptions(addresses: string, credentials: EtcdCredentials = {}): EtcdOptions {
  const parts = addresses.split(',').map(part => part.trim());
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(parts[0]!)?.[1]?.toLowerCase() ?? 'http';
  const urls = parts.map(part => parseEndpoint(part, scheme, addresses));
  const tls = readTls(credentials, scheme);
  const auth = readAuth(credentials, urls);
  const [first, ...others] = [...new Set(parts.map((part, index) => origin(urls[index]!, part)))];
  return { endpoints: [first!, ...others], ...(tls && { tls }), ...(auth && { auth }) };
}

function parseEndpoint(part: string, scheme: string, addresses: string): URL {
  if (part === '') throw refuse('an address is empty', hidePassword(addresses));
  const url = URL.parse(part.includes('://') ? part : `${scheme}://${part}`);
  if (!url || url.hostname === '') throw refuse('it is not like https://host:2379', hidePassword(part));
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw refuse('its scheme is neither http nor https', hidePassword(part));
  }
  if (url.protocol !== `${scheme}:`) throw refuse('http and https are mixed', hidePassword(addresses));
  if ((url.pathname !== '/' && url.pathname !== '') || url.search !== '' || url.hash !== '') {
    throw refuse('only a host and a port may be given', hidePassword(part));
  }
  return url;
}

/** `URL` drops a port that is the scheme's own: whether one was given is to be seen in what was written. */
function origin(url: URL, part: string): string {
  const written = /:(\d+)\/?$/.exec(part)?.[1];
  return `${url.protocol}//${url.hostname}:${url.port || written || DEFAULT_PORT}`;
}

function readTls({ ca, cert, key }: EtcdCredentials, scheme: string): EtcdOptions['tls'] {
  if (ca === undefined && cert === undefined && key === undefined) return undefined;
  if (scheme !== 'https') throw refuse('certificates are given, but the addresses are not https', scheme);
  if ((cert === undefined) !== (key === undefined)) {
    throw refuse('a client certificate needs both its file and its key', (cert ?? key)!);
  }
  return { ...(ca !== undefined && { ca }), ...(cert !== undefined && key !== undefined && { cert, key }) };
}

function readAuth({ user, password }: EtcdCredentials, urls: readonly URL[]): EtcdOptions['auth'] {
  const inUrl = urls.find(url => url.username !== '');
  const name = user ?? (inUrl && decodeURIComponent(inUrl.username));
  const secret = password ?? (inUrl && decodeURIComponent(inUrl.password));
  if (name === undefined && secret === undefined) return undefined;
  if (!name) throw refuse('a password is given, but no user', '(hidden)');
  if (!secret) throw refuse('a user is given, but no password', name);
  return { user: name, password: secret };
}

function refuse(reason: string, value: string): CiError {
  return new CiError('invalid', `Cannot use the etcd address as ${reason}: ${value}`);
}

function hidePassword(text: string): string {
  return text.replace(/:[^:@/,]*@/g, ':***@');
}
