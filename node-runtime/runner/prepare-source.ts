import { SnapshotManifest } from '../../shared/api.ts';
import { CiError } from '../../shared/errors.ts';
import type { SnapshotSource } from '../../shared/task.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { LogWriter } from '../logs/logs.ts';
import { getBytes } from '../objects/collect.ts';
import { type Claim, parseRecord } from '../queue/records.ts';
import type { Clock } from '../system/clock.ts';
import { orTellNoSpace } from '../system/no-space.ts';
import { checkOut, prepareCheckout } from '../workspace/check-out-snapshot.ts';
import { checkOutGit } from '../workspace/check-out-git.ts';
import { PackCache } from '../workspace/pack-cache.ts';
import type { Sandbox } from './sandbox.ts';
import { runInSandbox } from './run-in-sandbox.ts';
import { SYSTEM_PATH } from './system-path.ts';

/** Puts the task's files into the sandbox's workspace, and tells the commit if there is one. */
export type PrepareSource = (
  context: { readonly cluster: Cluster; readonly claim: Claim; readonly sandbox: Sandbox; readonly log: LogWriter },
  signal: AbortSignal,
) => Promise<string | undefined>;

export interface SourceOptions {
  /** Where packs of snapshots are kept between tasks. Nothing in it matters. */
  readonly cacheDir: string;
  /** How large that may be. Default: 10 GiB. */
  readonly maxBytes?: number;
  readonly clock: Clock;
}

const PREPARE = 'prepare the workspace';

/** Puts a task's files into its workspace: a snapshot out of the object store, or a commit out of a git server. */
export function createPrepareSource({ cacheDir, maxBytes, clock }: SourceOptions): PrepareSource {
  let packs: PackCache | undefined;
  return async ({ cluster, claim, sandbox, log }, signal) => {
    const { source } = claim.task;
    const run = (argv: readonly [string, ...string[]], env: Readonly<Record<string, string>>) =>
      runInSandbox(sandbox, { argv, cwd: sandbox.inside.workspace, env }, signal);
    switch (source?.type) {
      case undefined:
      case 'none':
        return undefined;
      case 'snapshot': {
        const { objects, objectKeys } = cluster;
        const env = { PATH: SYSTEM_PATH };
        packs ??= new PackCache({
          cacheDir,
          ...(maxBytes !== undefined && { maxBytes }),
          objects,
          objectKeys,
          env,
          clock,
        });
        const manifest = await readManifest(cluster, source, signal);
        const cache = packs;
        await using held = await orTellNoSpace(PREPARE, cacheDir, () => cache.hold(manifest, signal));
        const { workspace } = sandbox.folders;
        await orTellNoSpace(PREPARE, workspace, async () => {
          await prepareCheckout(manifest, held, workspace);
          await sandbox.adopt(workspace);
          await checkOut(manifest, run, SYSTEM_PATH);
        });
        return source.commit;
      }
      case 'git': {
        const commit = await checkOutGit(source, run, { path: SYSTEM_PATH, home: sandbox.inside.home });
        log.mark('note', `Checked out ${commit} of ${source.url}`);
        return commit;
      }
    }
  };
}

async function readManifest(cluster: Cluster, source: SnapshotSource, signal: AbortSignal): Promise<SnapshotManifest> {
  const key = cluster.objectKeys.snapshot(source.commit);
  const bytes = await getBytes(cluster.objects, key, { signal });
  if (!bytes)
    throw new CiError(
      'gone',
      `Cannot run the task as its snapshot is not there any more: ${source.commit}. Run it from the workspace again`,
    );
  const manifest = parseRecord(SnapshotManifest, { key, value: bytes.toString() });
  if (manifest.tree === source.tree) return manifest;
  throw new CiError(
    'invalid',
    `Cannot run the task as its snapshot ${source.commit} has another tree than the task says: ${manifest.tree}, not ${source.tree}`,
  );
}
