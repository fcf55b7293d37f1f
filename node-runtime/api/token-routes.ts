import type { Cluster } from '../cluster/cluster.ts';
import { createToken, listTokens, revokeToken } from '../cluster/tokens.ts';
import type { AccessControl } from './access.ts';
import type { Handlers } from './handlers.ts';

type TokenHandlers = Pick<Handlers, 'createTicket' | 'listTokens' | 'createToken' | 'revokeToken'>;

export function tokenHandlers({ cluster, access }: { cluster: Cluster; access: AccessControl }): TokenHandlers {
  return {
    createTicket: async ({ principal }) => access.issueTicket(principal),

    listTokens: async ({ signal }) => ({ tokens: await listTokens(cluster, signal) }),

    createToken: async ({ body, principal, signal }) => {
      const { name, role, expiresSeconds } = body;
      const expires = expiresSeconds === undefined ? {} : { expires: cluster.clock.now() + expiresSeconds * 1000 };
      return createToken(cluster, { name, role, createdBy: principal.name, ...expires }, signal);
    },

    revokeToken: async ({ params, signal }) => {
      await revokeToken(cluster, params.id, signal);
      access.forget(params.id);
      return undefined;
    },
  };
}
