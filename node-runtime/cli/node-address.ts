import { CiError, isCiError } from '../../shared/errors.ts';
import { quote } from '../../shared/ids.ts';

/** A token must not travel where others can read it. */
export function checkAddress(text: string, allowsHttp: boolean): void {
  const url = URL.parse(text);
  const refuse = (why: string) => new CiError('invalid', `Cannot use node address as ${why}: ${quote(text)}`);
  if (/,\s*https?:/i.test(text)) throw refuse('it is more than one: give each of them by --url');
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:')
    throw refuse('it does not start with http:// or https://');
  if (url.username !== '' || url.search !== '' || url.hash !== '') throw refuse('it is more than a host and a path');
  if (isReadableOnTheWay(text) && !allowsHttp)
    throw refuse(
      'the token would go to another machine unencrypted; use https, or --insecure-http if the network is yours',
    );
}

/** Whether others could read what goes to this address: it is plain http to another machine. */
export function isReadableOnTheWay(address: string): boolean {
  const { protocol, hostname } = new URL(address);
  return protocol === 'http:' && !isLoopback(hostname);
}

/**
 * Those addresses that nodes tell of themselves to which the token may go too: by the same rules, and to this machine only if
 * the cluster is on it. Elsewhere, a node at 127.0.0.1 means its own machine, and here that may be anybody's program.
 */
export function addressesToTrust(told: readonly string[], given: readonly string[], allowsHttp: boolean): string[] {
  const isHere = given.some(address => isLoopback(new URL(address).hostname));
  return told.filter(address => {
    try {
      checkAddress(address, allowsHttp);
    } catch (error) {
      if (isCiError(error)) return false;
      throw error;
    }
    return isHere || !isLoopback(new URL(address).hostname);
  });
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost') || /^127(\.\d+){3}$/.test(host) || host === '[::1]';
}
