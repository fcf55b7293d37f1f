import { createHash } from 'node:crypto';
import { lstat } from 'node:fs/promises';
import { CiError } from '../../shared/errors.ts';
import { quote } from '../../shared/ids.ts';
import type { Artifact, ArtifactManifest } from '../../shared/result.ts';
import { FORMAT_VERSION } from '../../shared/task.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { Claim } from '../queue/records.ts';
import { chunks, findFiles, openInside } from './workspace-files.ts';

export interface Collected {
  readonly count: number;
  readonly bytes: number;
  /** Of the manifest object; absent when nothing was kept. */
  readonly sha256?: string;
  /** Patterns that matched no file. */
  readonly unmatched: readonly string[];
}

/**
 * Stores the files that the task's patterns name, and a manifest of them. To be called when nothing of the task runs any more,
 * so that nothing can change under it. Links are not followed: what is kept lies in the workspace. Rejects with `invalid` for
 * what the task got wrong, and with the object store's errors.
 */
export async function collectArtifacts(
  cluster: Cluster,
  claim: Claim,
  workspace: string,
  signal: AbortSignal,
): Promise<Collected> {
  const patterns = claim.task.artifacts ?? [];
  if (patterns.length === 0) return { count: 0, bytes: 0, unmatched: [] };
  const { paths, unmatched } = await findFiles(workspace, patterns, signal);
  const files: Artifact[] = [];
  for (const path of paths) files.push(await storeFile(cluster, claim, workspace, path, signal));
  if (files.length === 0) return { count: 0, bytes: 0, unmatched };
  const manifest: ArtifactManifest = { v: FORMAT_VERSION, files };
  const bytes = Buffer.from(JSON.stringify(manifest));
  await cluster.objects.put(cluster.objectKeys.artifactManifest(claim.id, claim.fence), bytes, {
    signal,
    contentType: 'application/json',
  });
  const total = files.reduce((sum, file) => sum + file.size, 0);
  return { count: files.length, bytes: total, sha256: createHash('sha256').update(bytes).digest('hex'), unmatched };
}

async function storeFile(
  cluster: Cluster,
  claim: Claim,
  workspace: string,
  path: string,
  signal: AbortSignal,
): Promise<Artifact> {
  await using file = await openInside(workspace, path);
  const { size, mode, uid, nlink } = await file.stat();
  const owner = (await lstat(workspace)).uid;
  // Some systems let anybody link to files of others (fs.protected_hardlinks=0): we may read what the task may not.
  if (nlink > 1 && uid !== owner && owner !== process.getuid?.())
    throw new CiError('invalid', `Cannot keep artifact as it is a link to a file of another user: ${quote(path)}`);
  const hash = createHash('sha256');
  for await (const chunk of chunks(file)) hash.update(chunk);
  const sha256 = hash.digest('hex');
  await cluster.objects.put(cluster.objectKeys.artifact(claim.id, claim.fence, sha256), chunks(file), { signal });
  return { path, size, sha256, ...((mode & 0o111) !== 0 && { executable: true }) };
}
