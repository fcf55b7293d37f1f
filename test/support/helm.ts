import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parseAllDocuments, stringify } from 'yaml';
import { helm } from '../../scripts/install-helm.mjs';
import { temporaryFolder } from './temporary-folder.ts';

const CHART = fileURLToPath(new URL('../../deploy/helm/simple-ci', import.meta.url));

/** Any object of Kubernetes. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly [field: string]: unknown };
  // biome-ignore lint/suspicious/noExplicitAny: each kind has fields of its own, and the schemas are looked at elsewhere
  readonly [field: string]: any;
}

/** Whether the test may go on. Without Helm it is skipped, or fails where CI=true. */
export function requireHelm(t: TestContext): boolean {
  if (existsSync(helm)) return true;
  if (process.env.CI === 'true') throw new Error('Helm is not installed, and CI=true allows no skipping');
  t.skip('Helm is not installed (node scripts/install-helm.mjs builds it, where there is a Go)');
  return false;
}

/** What `helm template` prints, release `ci` in namespace `build`. Rejects with what Helm says against the values. */
export async function renderText(values: object, ...options: string[]): Promise<string> {
  await using folder = await temporaryFolder();
  const file = join(folder.path, 'values.yaml');
  await writeFile(file, stringify(values));
  const argv = ['template', 'ci', CHART, '--namespace', 'build', '--values', file, ...options];
  const { stdout } = await promisify(execFile)(helm, argv, { maxBuffer: 16 << 20 });
  return stdout;
}

export async function render(values: object, ...options: string[]): Promise<Manifest[]> {
  return manifestsIn(await renderText(values, ...options));
}

export function manifestsIn(text: string): Manifest[] {
  return parseAllDocuments(text)
    .map(document => {
      if (document.errors[0]) throw document.errors[0];
      return document.toJS() as Manifest | null;
    })
    .filter(manifest => manifest !== null);
}

/** Why Helm refuses the values; fails if it does not. */
export async function refusal(values: object): Promise<string> {
  try {
    await renderText(values);
  } catch (error) {
    return String((error as { stderr?: string }).stderr);
  }
  throw new Error(`Helm takes ${JSON.stringify(values)}`);
}
