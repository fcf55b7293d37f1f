import type { TaskView } from '../shared/api.ts';
import type { Client } from '../shared/client.ts';
import type { Artifact } from '../shared/result.ts';

export interface TaskDetails {
  readonly view: TaskView;
  readonly artifacts: readonly Artifact[];
}

/** All that can be told of a task besides its log. */
export async function readTaskDetails(client: Client, id: string, signal: AbortSignal): Promise<TaskDetails> {
  const view = await client.call('getTask', { params: { id } }, signal);
  if (view.state !== 'finished' || view.result.artifacts.count === 0) return { view, artifacts: [] };
  const { artifacts } = await client.call('listArtifacts', { params: { id } }, signal);
  return { view, artifacts };
}
