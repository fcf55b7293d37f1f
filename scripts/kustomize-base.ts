// Writes deploy/kubernetes/base/, for `kubectl apply -k`, out of the chart. `node scripts/kustomize-base.ts` writes it, with `--check`
// it tells whether it is up to date. Needs Helm: `node scripts/install-helm.mjs`.
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { helm } from './install-helm.mjs';
import { type GeneratedFiles, writeGenerated } from './write-generated.ts';

const deploy = fileURLToPath(new URL('../deploy', import.meta.url));
const HEAD = '# Made by scripts/kustomize-base.ts out of the chart; do not edit.\n';
const KUSTOMIZATION = `${HEAD}apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
  - simple-ci.yaml
`;
/** Where kustomize puts things is the overlay's business, and Helm does not manage them. */
const OF_HELM = /^ *(namespace: default|app\.kubernetes\.io\/managed-by: .*|helm\.sh\/chart: .*)\n/gm;

export async function kustomizeBase(): Promise<GeneratedFiles> {
  const values = ['--values', `${deploy}/kubernetes/base-values.yaml`];
  const argv = [
    'template',
    'simple-ci',
    `${deploy}/helm/simple-ci`,
    '--namespace',
    'default',
    '--skip-tests',
    ...values,
  ];
  const { stdout } = await promisify(execFile)(helm, argv, { maxBuffer: 16 << 20 });
  return new Map([
    ['deploy/kubernetes/base/kustomization.yaml', KUSTOMIZATION],
    ['deploy/kubernetes/base/simple-ci.yaml', HEAD + stdout.replace(OF_HELM, '')],
  ]);
}

if (import.meta.main) await writeGenerated(await kustomizeBase(), process.argv.slice(2));
