import { posix } from 'node:path';
import { CiError } from '../../shared/errors.ts';
import { parseTaskId, quote, type TaskId } from '../../shared/ids.ts';
import { type Artifact, ArtifactManifest } from '../../shared/result.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { getBytes } from '../objects/collect.ts';
import { parseRecord } from '../queue/records.ts';
import type { TasksService } from '../queue/tasks-service.ts';
import type { Handlers } from './handlers.ts';
import { found } from './task-routes.ts';

const DOWNLOAD_SECONDS = 900;

type ArtifactHandlers = Pick<Handlers, 'listArtifacts' | 'artifact'>;

export function artifactHandlers({ cluster, tasks }: { cluster: Cluster; tasks: TasksService }): ArtifactHandlers {
  return {
    listArtifacts: async ({ params, signal }) => {
      const { files } = await readArtifacts(cluster, tasks, parseTaskId(params.id), signal);
      return { artifacts: files };
    },

    artifact: async ({ params, signal }) => {
      const id = parseTaskId(params.id);
      const { fence, files } = await readArtifacts(cluster, tasks, id, signal);
      const file = files.find(({ path }) => path === params['*']);
      if (!file)
        throw new CiError('not-found', `Cannot find an artifact of task ${id} at this path: ${quote(params['*'])}`);
      const location = await cluster.objects.presign('GET', cluster.objectKeys.artifact(id, fence, file.sha256), {
        expiresSeconds: DOWNLOAD_SECONDS,
        downloadName: posix.basename(file.path),
        // Whatever a task made is bytes to us: a browser saves it and never runs it as a page of ours.
        contentType: 'application/octet-stream',
        signal,
      });
      return { status: 302, headers: { location, 'cache-control': 'no-store' } };
    },
  };
}

/** What the attempt kept that completed the task; nothing while it has not been completed. */
async function readArtifacts(
  cluster: Cluster,
  tasks: TasksService,
  id: TaskId,
  signal: AbortSignal,
): Promise<{ fence: number; files: Artifact[] }> {
  const task = found(id, await tasks.get(id, signal));
  if (task.state !== 'finished' || task.result.artifacts.count === 0) return { fence: 0, files: [] };
  const { fence } = task.result;
  const key = cluster.objectKeys.artifactManifest(id, fence);
  const bytes = await getBytes(cluster.objects, key, { signal });
  if (!bytes) throw new CiError('gone', `Cannot find the artifacts of task ${id}: retention has removed them`);
  return { fence, files: parseRecord(ArtifactManifest, { key, value: bytes.toString() }).files };
}
