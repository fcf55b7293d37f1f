import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { execFile } from 'node:child_process';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Manifest } from './helm.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const CACHE = join(root, '.cache');

type Model = new (manifest: Manifest) => { validate(): void };

/** The published schemas, by what a manifest names as its API. */
const SCHEMAS: Readonly<Record<string, () => Promise<object>>> = {
  v1: () => import('kubernetes-models/v1'),
  'admissionregistration.k8s.io/v1': () => import('kubernetes-models/admissionregistration.k8s.io/v1'),
  'apiregistration.k8s.io/v1': () => import('kubernetes-models/apiregistration.k8s.io/v1'),
  'apps/v1': () => import('kubernetes-models/apps/v1'),
  'autoscaling/v2': () => import('kubernetes-models/autoscaling/v2'),
  'gateway.networking.k8s.io/v1': () => import('@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1'),
  'keda.sh/v1alpha1': () => import('@kubernetes-models/keda/keda.sh/v1alpha1'),
  'monitoring.coreos.com/v1': () => import('@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1'),
  'networking.k8s.io/v1': () => import('kubernetes-models/networking.k8s.io/v1'),
  'policy/v1': () => import('kubernetes-models/policy/v1'),
  'rbac.authorization.k8s.io/v1': () => import('kubernetes-models/rbac.authorization.k8s.io/v1'),
};

/** What the published schema of Kubernetes, or of the extension, has against it: types, missing fields, values. */
export async function schemaProblem(manifest: Manifest): Promise<string | undefined> {
  const models = (await SCHEMAS[manifest.apiVersion]?.()) as Record<string, Model> | undefined;
  const Kind = models?.[manifest.kind];
  if (!Kind) return `There is no schema for ${manifest.kind} of ${manifest.apiVersion}`;
  try {
    new Kind(manifest).validate();
    return undefined;
  } catch (error) {
    return `${manifest.kind} ${manifest.metadata.name}: ${(error as Error).message}`;
  }
}

/** Fields that Kubernetes does not know, in any of them: found by the types of the same schemas, as TypeScript reads literals. */
export async function unknownFields(manifests: readonly Manifest[]): Promise<string> {
  await mkdir(CACHE, { recursive: true });
  const folder = await mkdtemp(join(CACHE, 'manifests-'));
  try {
    const source = manifests.map((manifest, i) => {
      const type = `${typesOf(manifest.apiVersion)}.I${manifest.kind}`;
      return `export const m${i}: ${type} = ${JSON.stringify(manifest, null, 2)};`;
    });
    const file = join(folder, 'manifests.ts');
    await writeFile(file, source.join('\n'));
    const options = [
      '--noEmit',
      '--strict',
      '--skipLibCheck',
      '--module',
      'nodenext',
      '--target',
      'esnext',
      '--types',
      '',
    ];
    const argv = [...options, '--ignoreConfig', relative(root, file)];
    await promisify(execFile)(join(root, 'node_modules/.bin/tsc'), argv, { cwd: root });
    return '';
  } catch (error) {
    return String((error as { stdout?: string }).stdout ?? error);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The same module, as a type. */
function typesOf(apiVersion: string): string {
  return /import\(.*\)/.exec(String(SCHEMAS[apiVersion]))?.[0] ?? `/* no schema of ${apiVersion} */ never`;
}
