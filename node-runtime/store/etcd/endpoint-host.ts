import { isIP } from 'node:net';

/** Of `https://host:2379`: the name or IP address, an IPv6 address without its brackets. */
export function hostOf(address: string): string {
  return new URL(address).hostname.replace(/^\[(.*)\]$/, '$1');
}

/** What TLS tells the server about whom it is to be. RFC 6066 knows names only; an IP address goes without. */
export function serverNameOf(host: string): string {
  return isIP(host) === 0 ? host : '';
}
