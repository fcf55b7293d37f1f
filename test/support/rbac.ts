import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';

/** A Role as Kubernetes reads it, with all it could say that matters here. */
const Role = z.looseObject({
  kind: z.literal('Role'),
  metadata: z.looseObject({ name: z.string() }),
  rules: z.array(
    z.strictObject({
      apiGroups: z.array(z.string()),
      resources: z.array(z.string()),
      resourceNames: z.array(z.string()).optional(),
      verbs: z.array(z.string()),
    }),
  ),
});
export type Role = z.infer<typeof Role>;

/** What somebody wants to do, in Kubernetes' words. */
export interface Access {
  readonly verb: string;
  readonly apiGroup: string;
  /** With its subresource, such as `deployments/scale`. */
  readonly resource: string;
  readonly name: string;
}

/** The Role that the chart ships under this name. */
export function shippedRole(name: string): Role {
  return Role.parse(
    parse(readFileSync(new URL(`../../deploy/helm/simple-ci/roles/${name}.yaml`, import.meta.url), 'utf8')),
  );
}

/** The one that every cluster has in kube-system, for APIs like the adapter's. */
export const AUTHENTICATION_READER: Role = {
  kind: 'Role',
  metadata: { name: 'extension-apiserver-authentication-reader' },
  rules: [
    {
      apiGroups: [''],
      resources: ['configmaps'],
      resourceNames: ['extension-apiserver-authentication'],
      verbs: ['get', 'list', 'watch'],
    },
  ],
};

/** As Kubernetes decides it: one rule of one role must cover all of it; what no rule covers is refused. */
export function allows(roles: readonly Role[], { verb, apiGroup, resource, name }: Access): boolean {
  const covers = (list: readonly string[], wanted: string) => list.includes('*') || list.includes(wanted);
  return roles.some(({ rules }) =>
    rules.some(
      rule =>
        covers(rule.verbs, verb) &&
        covers(rule.apiGroups, apiGroup) &&
        coversResource(rule.resources, resource) &&
        (rule.resourceNames === undefined || rule.resourceNames.includes(name)),
    ),
  );
}

/** `pods` covers no `pods/exec`; `*` and `pods/*` do. */
function coversResource(list: readonly string[], resource: string): boolean {
  const [, sub] = resource.split('/');
  return list.includes('*') || list.includes(resource) || (sub !== undefined && list.includes(`*/${sub}`));
}
