import * as l10n from '@vscode/l10n';
import { CiError } from '../shared/errors.ts';
import { quote } from '../shared/ids.ts';

/** The address of a node as it is kept, or a CiError that says why it may not be used. A token must not travel in the clear. */
export function checkNodeUrl(text: string): string {
  const refuse = (why: string) => new CiError('invalid', l10n.t('Cannot use address as {0}: {1}', why, quote(text)));
  const url = URL.parse(text.trim());
  if (!url || !/^https?:$/.test(url.protocol)) throw refuse(l10n.t('it is not like https://ci.example.com'));
  if (url.username !== '' || url.password !== '')
    throw refuse(l10n.t('it holds a password: tokens are asked for by themselves'));
  if (url.search !== '' || url.hash !== '') throw refuse(l10n.t('it has something after its path'));
  if (url.protocol === 'http:' && !isLoopback(url.hostname))
    throw refuse(l10n.t('a token may be sent over plain http to this machine only'));
  return url.href.replace(/\/+$/, '');
}

/**
 * All addresses to try: the ones given, then those that the nodes tell of themselves, if the token may go there. Behind a
 * load balancer nodes tell addresses that only they can reach: those over plain http are left out, and of the others
 * each is tried when the ones before it did not answer.
 */
export function failoverUrls(given: readonly string[], told: readonly string[]): string[] {
  const usable = told.flatMap(address => {
    try {
      return [checkNodeUrl(address)];
    } catch {
      return [];
    }
  });
  const isLocal = given.every(url => isLoopback(new URL(url).hostname));
  const near = usable.filter(url => isLoopback(new URL(url).hostname) === isLocal);
  return [...new Set([...given, ...near])];
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname);
}
