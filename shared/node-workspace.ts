import type { Fence } from './ids.ts';

/** Where a task sees its workspace under bubblewrap. */
export const BUBBLEWRAP_WORKSPACE = '/workspace';
/** And in a pod of its own. */
export const POD_WORKSPACE = '/simple-ci/task/workspace';
/** Elsewhere it is this folder in that of the attempt. */
export const WORKSPACE_FOLDER = 'workspace';

/** The folder of an attempt, among those of a node. */
export function attemptFolder(task: string, fence: Fence): string {
  return `${task}-${fence}`;
}
