import type { Cluster } from '../cluster/cluster.ts';
import { deleteSecret, listSecrets, putSecret } from '../cluster/secrets.ts';
import type { Handlers } from './handlers.ts';

type SecretHandlers = Pick<Handlers, 'listSecrets' | 'putSecret' | 'deleteSecret'>;

export function secretHandlers(parts: { cluster: Cluster; secretsKey?: Buffer | undefined }): SecretHandlers {
  const { cluster, secretsKey } = parts;
  return {
    listSecrets: async ({ signal }) => ({ secrets: await listSecrets(cluster, signal) }),

    putSecret: async ({ params, body, signal }) => {
      await putSecret(cluster, secretsKey, params.name, body.value, signal);
      return undefined;
    },

    deleteSecret: async ({ params, signal }) => {
      await deleteSecret(cluster, params.name, signal);
      return undefined;
    },
  };
}
