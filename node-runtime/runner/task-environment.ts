import type { Step } from '../../shared/task.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { Claim } from '../queue/records.ts';
import type { SandboxFolders, SandboxSystem } from './sandbox.ts';

/**
 * All variables a step's command sees. Built from nothing: what the node itself was started with is not in it. Later ones
 * win: the cluster's secrets over Simple CI's own, the task's over these, the step's over all; SIMPLE_CI_* cannot be set.
 */
export function stepEnvironment(
  cluster: Cluster,
  claim: Claim,
  inside: SandboxFolders,
  system: SandboxSystem,
  secrets: ReadonlyMap<string, string>,
  step: Step | undefined,
): Record<string, string> {
  return {
    ...system.env,
    HOME: inside.home,
    TMPDIR: inside.tmp,
    CI: 'true',
    ...Object.fromEntries(secrets),
    ...claim.task.env,
    ...step?.env,
    SIMPLE_CI: 'true',
    SIMPLE_CI_CLUSTER: cluster.id,
    SIMPLE_CI_TASK: claim.id,
    SIMPLE_CI_ATTEMPT: String(claim.lock.attempt),
    SIMPLE_CI_FENCE: String(claim.fence),
    SIMPLE_CI_WORKSPACE: inside.workspace,
  };
}
