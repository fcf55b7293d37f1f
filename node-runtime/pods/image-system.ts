import { machineSystem } from '../runner/machine-system.ts';
import type { SandboxSystem } from '../runner/sandbox.ts';

/** What says where a process is, not what its image has. */
const OWN = /^(SIMPLE_CI_.*|KUBERNETES_.*|HOSTNAME|HOME|TMPDIR|PWD|OLDPWD|SHLVL|_)$/;

/** What commands in this container find: what its image has set, PATH above all. */
export async function imageSystem(variables: Readonly<Record<string, string | undefined>>): Promise<SandboxSystem> {
  const { env, hasBash } = await machineSystem();
  const own = Object.entries(variables).flatMap(([name, value]) =>
    value === undefined || OWN.test(name) ? [] : [[name, value] as const],
  );
  return { env: { ...env, ...Object.fromEntries(own) }, hasBash };
}
