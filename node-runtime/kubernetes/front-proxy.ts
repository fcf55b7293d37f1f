import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { z } from 'zod';
import { CiError, isCiError } from '../../shared/errors.ts';
import type { KubernetesApi, KubernetesCall } from './kubernetes-api.ts';

/** How an API server that passes requests on proves that it is one, and says who has asked it. */
export interface FrontProxy {
  /** Authorities, in PEM, that sign its certificates. */
  readonly ca: string;
  /** Common names that it may have; none: any. */
  readonly allowedNames: readonly string[];
  readonly usernameHeaders: readonly string[];
}

const PLACE = '/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication';

const Names = z
  .string()
  .transform((text, context) => {
    try {
      return JSON.parse(text) as unknown;
    } catch {
      context.addIssue('must be a list in JSON');
      return z.NEVER;
    }
  })
  .pipe(z.array(z.string()));
const ConfigMap = z.looseObject({
  data: z.looseObject({
    'requestheader-client-ca-file': z.string().min(1),
    'requestheader-allowed-names': Names.default([]),
    'requestheader-username-headers': Names.default(['X-Remote-User']),
  }),
});

/** What the cluster has published about its API servers. It changes when their certificates do: read it again now and then. */
export async function readFrontProxy(api: KubernetesApi, call: KubernetesCall): Promise<FrontProxy> {
  const answer = await api.get(PLACE, call).catch((error: unknown) => {
    if (!isCiError(error, 'forbidden')) throw error;
    const right = 'bind its service account to the role extension-apiserver-authentication-reader in kube-system';
    throw new CiError('forbidden', `Cannot learn whom to trust as the right is missing: ${right}`, { cause: error });
  });
  const parsed = ConfigMap.safeParse(answer);
  if (!parsed.success)
    throw new CiError('unavailable', `Cannot learn whom to trust as ${PLACE} is not as expected`, {
      cause: parsed.error,
    });
  const { data } = parsed.data;
  return {
    ca: data['requestheader-client-ca-file'],
    allowedNames: data['requestheader-allowed-names'],
    usernameHeaders: data['requestheader-username-headers'],
  };
}

/**
 * The user an API server names; undefined unless it is one. Who has no certificate of that authority and name may write into headers
 * what they like. What the user may do the API server has decided before it passed the request on.
 */
export function userOf({ socket, headers }: IncomingMessage, trust: FrontProxy): string | undefined {
  const { authorized } = socket as TLSSocket;
  const name = (socket as TLSSocket).getPeerCertificate()?.subject?.CN;
  if (!authorized || typeof name !== 'string') return undefined;
  if (trust.allowedNames.length > 0 && !trust.allowedNames.includes(name)) return undefined;
  for (const header of trust.usernameHeaders) {
    const value = headers[header.toLowerCase()];
    if (typeof value === 'string' && value !== '') return value;
  }
  return undefined;
}
