import { timingSafeEqual } from 'node:crypto';
import { jwtVerify, SignJWT } from 'jose';
import { z } from 'zod';
import { Role } from '../../shared/api.ts';
import { CiError } from '../../shared/errors.ts';
import { type NodeId, quote } from '../../shared/ids.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { type ClusterKey, readClusterKey } from '../cluster/cluster-key.ts';
import { hashSecret, parseTokenText, type TokenText } from '../cluster/token-text.ts';
import type { TokenRecord } from '../cluster/tokens.ts';
import type { Principal } from './authorize.ts';
import { FailureLimit } from './failure-limit.ts';
import { TokenCache } from './token-cache.ts';

const TICKET_SECONDS = 30;
const NODE_TOKEN_SECONDS = 60;
/** How far the clocks of two nodes may differ. */
const CLOCK_TOLERANCE_SECONDS = 30;
const MOST_USED_TICKETS = 100_000;

const Ticket = z.object({
  jti: z.string(),
  sub: z.string(),
  role: Role,
  token: z.string().optional(),
  expires: z.number().optional(),
  exp: z.number(),
});

/** Who may come in: API tokens, the short-lived tokens of other nodes, and tickets for WebSockets. */
export class AccessControl implements Disposable {
  readonly #cluster: Cluster;
  readonly #key: ClusterKey;
  readonly #ended = new AbortController();
  readonly #tokens: TokenCache;
  readonly #failures: FailureLimit;
  /** Tickets that have been used here, with the time (ms since 1970) at which they would have expired anyway. */
  readonly #used = new Map<string, number>();

  /** The cluster must have its key: `ensureAdminToken` makes it. */
  static async open(cluster: Cluster, signal: AbortSignal): Promise<AccessControl> {
    return new AccessControl(cluster, await readClusterKey(cluster, signal));
  }

  constructor(cluster: Cluster, key: ClusterKey) {
    this.#cluster = cluster;
    this.#key = key;
    this.#tokens = new TokenCache(cluster, this.#ended.signal);
    this.#failures = new FailureLimit(cluster.clock);
  }

  [Symbol.dispose](): void {
    this.#ended.abort(new CiError('unavailable', 'Cannot check tokens as the node has stopped'));
  }

  /**
   * Who the bearer of this Authorization header is. Rejects with `unauthenticated`; with `rate-limited` for an address that
   * keeps trying tokens that do not exist; with `unavailable` when the store cannot be asked.
   * @param address of the peer
   */
  async authenticate(authorization: string | undefined, address: string): Promise<Principal> {
    const text = /^Bearer +([^\s]+)$/i.exec(authorization ?? '')?.[1];
    if (text === undefined) throw refused('it carries no token: send the header "Authorization: Bearer TOKEN"');
    if (text.startsWith('eyJ')) return this.#readNodeToken(text);
    const token = parseTokenText(text);
    if (!token) throw refused('its token is not one of Simple CI, or not whole');
    const isKnown = this.#tokens.knows(token.id);
    if (!isKnown && this.#failures.isExceeded(address))
      throw new CiError(
        'rate-limited',
        `Cannot take the request as ${address} has sent too many wrong tokens: wait a little`,
      );
    const record = await this.#record(token.id);
    if (!record && !isKnown) this.#failures.note(address);
    if (!record || !isHolder(token, record)) throw refused('its token is unknown or revoked');
    const { name, role, expires } = record;
    if (expires !== undefined && expires <= this.#cluster.clock.now())
      throw refused(`its token has expired: ${quote(name)}, at ${new Date(expires).toISOString()}`);
    return { name, role, token: token.id, ...(expires !== undefined && { expires }) };
  }

  /** A word that opens one WebSocket within 30 s in the principal's name, also at another node. `expires`: ms since 1970. */
  async issueTicket(principal: Principal): Promise<{ ticket: string; expires: number }> {
    const { name, role, token, expires } = principal;
    const end = this.#seconds() + TICKET_SECONDS;
    const ticket = await new SignJWT({ role, ...(token && { token }), ...(expires && { expires }) })
      .setProtectedHeader({ alg: 'HS256' })
      .setSubject(name)
      .setAudience(this.#audience('ticket'))
      .setJti(this.#cluster.chance.word(20))
      .setExpirationTime(end)
      .sign(this.#key.derive('tickets'));
    return { ticket, expires: end * 1000 };
  }

  /**
   * Takes a ticket. It is not taken twice by this node; that it was used at another one is not noticed, which is what keeps
   * tickets out of the store. They live for 30 s and travel in no address.
   */
  async useTicket(ticket: string): Promise<Principal> {
    const { jti, sub, role, token, expires, exp } = await this.#verify(ticket, 'ticket', 5);
    const now = this.#cluster.clock.now();
    for (const [id, end] of this.#used) {
      if (end >= now && this.#used.size < MOST_USED_TICKETS) break;
      this.#used.delete(id);
    }
    if (this.#used.has(jti)) throw refused('its ticket has been used already');
    this.#used.set(jti, (exp + 5) * 1000);
    return { name: sub, role, ...(token && { token }), ...(expires && { expires }) };
  }

  /** With this a node asks another for a live log. It gives the role viewer for 60 s. */
  issueNodeToken(node: NodeId): Promise<string> {
    return new SignJWT({ role: 'viewer' })
      .setProtectedHeader({ alg: 'HS256' })
      .setSubject(node)
      .setAudience(this.#audience('node'))
      .setJti(this.#cluster.chance.word(20))
      .setExpirationTime(this.#seconds() + NODE_TOKEN_SECONDS)
      .sign(this.#key.derive('nodes'));
  }

  /**
   * Whether somebody who came in may stay: the token is still there, with the same role, and not expired. True while the
   * store cannot be asked: an outage ends no connection.
   */
  async isStillValid(principal: Principal): Promise<boolean> {
    if (principal.expires !== undefined && principal.expires <= this.#cluster.clock.now()) return false;
    if (principal.token === undefined) return true;
    try {
      return (await this.#tokens.get(principal.token))?.role === principal.role;
    } catch {
      return true;
    }
  }

  /** A token of this id has just been revoked here: other nodes notice within 10 s, this one at once. */
  forget(id: string): void {
    this.#tokens.forget(id);
  }

  async #record(id: string) {
    try {
      return await this.#tokens.get(id);
    } catch (error) {
      throw new CiError('unavailable', 'Cannot check the token as the coordination store cannot be reached', {
        cause: error,
      });
    }
  }

  async #readNodeToken(text: string): Promise<Principal> {
    const { sub, role } = await this.#verify(text, 'node', CLOCK_TOLERANCE_SECONDS);
    return { name: `node ${sub}`, role };
  }

  async #verify(text: string, kind: 'ticket' | 'node', clockTolerance: number): Promise<z.infer<typeof Ticket>> {
    try {
      const { payload } = await jwtVerify(text, this.#key.derive(kind === 'node' ? 'nodes' : 'tickets'), {
        algorithms: ['HS256'],
        audience: this.#audience(kind),
        currentDate: new Date(this.#cluster.clock.now()),
        clockTolerance,
      });
      return Ticket.parse(payload);
    } catch (error) {
      throw refused(`its ${kind === 'node' ? 'node token' : 'ticket'} is wrong or too old`, error);
    }
  }

  #audience(kind: 'ticket' | 'node'): string {
    return `${this.#cluster.id} ${kind}`;
  }

  #seconds(): number {
    return Math.floor(this.#cluster.clock.now() / 1000);
  }
}

function isHolder({ secret }: TokenText, { hash }: TokenRecord): boolean {
  return timingSafeEqual(Buffer.from(hash, 'hex'), Buffer.from(hashSecret(secret), 'hex'));
}

function refused(why: string, cause?: unknown): CiError {
  return new CiError('unauthenticated', `Cannot take the request as ${why}`, { cause });
}
