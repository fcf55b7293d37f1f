import type { TaskSummary, TaskView } from '../../shared/api.ts';
import type { TaskId } from '../../shared/ids.ts';
import type { LockRecord, TaskResult } from '../../shared/result.ts';
import type { TaskRecord } from '../../shared/task.ts';
import { closeLost } from './claim.ts';
import type { TaskState } from './records.ts';

/** Where a task is in its life follows from the keys it has; undefined if it has none. */
export function viewOf(id: TaskId, state: TaskState): TaskView | undefined {
  const { task, lock, attempts, completed } = state;
  if (completed) return finishedView(id, completed.value);
  if (!task) return undefined;
  // An attempt that is open and that nobody holds was lost; the record says so only when the task is claimed anew.
  if (!lock) return { state: 'queued', id, task: task.value, past: attempts ? closeLost(attempts).past : [] };
  const { attempt, node, claimed } = lock.value;
  const past = attempts?.value.past ?? [];
  return { state: 'running', id, task: task.value, past, attempt, fence: lock.revision, node, claimed };
}

export function finishedView(id: TaskId, result: TaskResult): TaskView {
  return { state: 'finished', id, task: result.task, past: result.past, result };
}

export function summaryOfTask(id: TaskId, task: TaskRecord, lock: LockRecord | undefined): TaskSummary {
  return {
    id,
    name: task.name,
    state: lock ? 'running' : 'queued',
    submitter: task.submitter,
    submitted: task.submitted,
    ...(lock && { claimed: lock.claimed, node: lock.node, attempt: lock.attempt }),
    ...(task.cancelled && { cancelling: true }),
    ...wantsOf(task),
    ...branchOf(task),
  };
}

export function summaryOfResult(id: TaskId, result: TaskResult): TaskSummary {
  const { times, task } = result;
  return {
    id,
    name: task.name,
    state: 'finished',
    outcome: result.outcome,
    message: result.message,
    submitter: task.submitter,
    submitted: times.submitted,
    ...(times.claimed !== undefined && { claimed: times.claimed }),
    finished: times.finished,
    node: result.node,
    attempt: result.attempt,
    ...wantsOf(task),
    ...branchOf(task),
  };
}

/** What a node must have for it. */
function wantsOf({ labels, slots }: TaskRecord): Pick<TaskSummary, 'labels' | 'slots'> {
  return { ...(labels && { labels }), ...(slots !== undefined && { slots }) };
}

function branchOf({ source }: TaskRecord): Pick<TaskSummary, 'branch'> {
  return source?.type === 'snapshot' && source.branch !== undefined ? { branch: source.branch } : {};
}
