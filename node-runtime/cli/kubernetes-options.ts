import { resolve } from 'node:path';
import type { InCluster } from '../kubernetes/kubernetes-api.ts';
import type { OptionTable } from './command.ts';
import type { CliContext } from './context.ts';

export const kubernetesOptions = {
  'service-account': {
    kind: 'text',
    value: 'DIR',
    summary: 'Where Kubernetes puts token, ca.crt and namespace of the pod',
    default: '/var/run/secrets/kubernetes.io/serviceaccount',
    env: 'SIMPLE_CI_SERVICE_ACCOUNT',
  },
} as const satisfies OptionTable;

/** Where Kubernetes says its API is; undefined outside of it. */
export function readInCluster(
  { environment }: CliContext,
  options: { readonly 'service-account': string },
): InCluster | undefined {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = environment.variables;
  if (!host) return undefined;
  return { host, port: Number(port), serviceAccount: resolve(environment.folder, options['service-account']) };
}
