import { setTimeout as pause } from 'node:timers/promises';
import type { Cluster } from '../../node-runtime/cluster/cluster.ts';
import { claimTask, type Claimant } from '../../node-runtime/queue/claim.ts';
import { type Claim, readTaskState } from '../../node-runtime/queue/records.ts';
import { History } from '../../node-runtime/queue/history.ts';
import { submitTask } from '../../node-runtime/queue/submit.ts';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import { newTaskId, type TaskId } from '../../shared/ids.ts';
import type { TaskResult } from '../../shared/result.ts';
import type { TaskSpec } from '../../shared/task.ts';

export function taskSpec(changes: Partial<TaskSpec> = {}): TaskSpec {
  return { name: 'test', steps: [{ run: 'true' }], ...changes };
}

/** Puts a task into the queue and tells its id. */
export async function submit(cluster: Cluster, changes: Partial<TaskSpec> = {}): Promise<TaskId> {
  const id = newTaskId(changes.priority ?? 5, cluster.clock.now(), Math.random);
  await submitTask(cluster, new History(cluster), id, taskSpec(changes), 'tester', neverAborted);
  return id;
}

/** Somebody who claims, with a lease of 30 s. */
export async function claimant(cluster: Cluster, node = 'n1'): Promise<Claimant> {
  const lease = await cluster.store.grantLease(30, { signal: neverAborted, timeoutMs: 3000 });
  return { node, instance: `${node}-instance`, address: `http://${node}`, lease };
}

/** Claims a task that nobody holds. */
export async function claim(cluster: Cluster, id: TaskId, who: Claimant): Promise<Claim> {
  const { task } = await readTaskState(cluster, id, neverAborted);
  if (!task) throw new Error(`No task ${id}`);
  const result = await claimTask(cluster, id, task, who, neverAborted);
  if (result.kind !== 'claimed') throw new Error(`Could not claim ${id}: ${result.kind}`);
  return result.claim;
}

export function passed(claim: Claim): TaskResult {
  return {
    v: 1,
    outcome: 'passed',
    message: 'All steps passed',
    fence: claim.fence,
    attempt: claim.lock.attempt,
    node: claim.lock.node,
    instance: claim.lock.instance,
    times: { submitted: claim.task.submitted, claimed: claim.lock.claimed, finished: claim.lock.claimed },
    steps: [],
    log: { bytes: 0, lines: 0 },
    artifacts: { count: 0, bytes: 0 },
    past: claim.attempts.past,
    task: claim.task,
  };
}

/** Waits until something holds; fails after `limitMs`, which is generous as the machine may be busy. */
export async function eventually<T>(
  what: string,
  look: () => Promise<T | undefined> | T | undefined,
  limitMs = 30_000,
): Promise<T> {
  const end = performance.now() + limitMs;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > end) throw new Error(`Waited ${limitMs} ms in vain: ${what}`);
    await pause(20);
  }
}
