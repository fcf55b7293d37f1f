import type { IncomingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';
import { CiError } from '../../shared/errors.ts';
import { quote } from '../../shared/ids.ts';

export interface GuardOptions {
  readonly listenHost: string;
  /** The address that others are told, if it differs. */
  readonly advertise?: string | undefined;
  /** More host names under which the node is reached: a load balancer's, a Kubernetes service's. */
  readonly hosts?: readonly string[] | undefined;
  /** More origins, such as `https://ci.example.org`, whose pages may open WebSockets here. */
  readonly origins?: readonly string[] | undefined;
}

/** The request was meant for another host: status 421. */
export class MisdirectedRequest extends CiError {}

/** Throws for a request that a web page of somebody else's has made its visitor's browser send. */
export type Guard = (headers: IncomingHttpHeaders) => void;

/**
 * Host: only names that are known to be this node's, so that a name which was made to point at 127.0.0.1 (DNS rebinding)
 * reaches nothing; an address in digits cannot be rebound. Origin: browsers send it with every WebSocket and POST; when it is
 * there it must be ours. Pages of VS Code's webviews are let through, as their origin says nothing. All this is a second wall:
 * a token or ticket is wanted from everyone anyway.
 */
export function createGuard(options: GuardOptions): Guard {
  const { listenHost, advertise, hosts = [], origins = [] } = options;
  const told = advertise ? [new URL(advertise).host] : [];
  const names = new Set(['localhost', listenHost, ...hosts, ...told].map(hostName));
  return ({ host, origin }) => {
    const name = hostName(host ?? '');
    if (!names.has(name) && isIP(name.replace(/^\[|\]$/g, '')) === 0)
      throw new MisdirectedRequest(
        'forbidden',
        `Cannot take the request as this node does not go by that host name: ${quote(host ?? '')}`,
      );
    if (origin !== undefined && !isOwnOrigin(origin, host ?? '') && !origins.includes(origin))
      throw new CiError('forbidden', `Cannot take the request as pages of that origin may not ask: ${quote(origin)}`);
  };
}

function isOwnOrigin(origin: string, host: string): boolean {
  return origin.startsWith('vscode-webview://') || origin === `http://${host}` || origin === `https://${host}`;
}

/** The host without its port, in lower case: IPv6 addresses keep their brackets. */
function hostName(host: string): string {
  return host.replace(/:\d+$/, '').toLowerCase();
}
