import type { TaskId } from '../../shared/ids.ts';
import type { ObjectKeys } from '../../shared/keyspace.ts';
import type { Logs } from '../../node-runtime/logs/logs.ts';
import { createLogs } from '../../node-runtime/logs/node-logs.ts';
import { systemChance } from '../../node-runtime/system/chance.ts';
import { neverAborted, systemClock } from '../../node-runtime/system/clock.ts';
import { MemoryObjectStore, type StoredObject } from '../support/memory-object-store.ts';
import type { Execution, Executions } from './executions.ts';
import type { Invariants } from './invariants.ts';
import type { LogFollower } from './log-follower.ts';
import type { ModelEtcd } from './model-etcd.ts';
import { SECRET } from './task-program.ts';
import { isCiError } from '../../shared/errors.ts';
import type { Violation } from './violation.ts';

export interface End {
  readonly etcd: ModelEtcd;
  readonly objects: Map<string, StoredObject>;
  readonly objectKeys: ObjectKeys;
  readonly executions: Executions;
  readonly invariants: Invariants;
  readonly followers: readonly LogFollower[];
  readonly onViolation: (violation: Violation) => void;
}

/** What can be checked when everything is over: every log against what was really printed, and that no secret lies anywhere. */
export async function checkEnd(end: End): Promise<void> {
  const objects = new MemoryObjectStore({ objects: end.objects });
  const logs = createLogs({ objects, objectKeys: end.objectKeys, clock: systemClock, chance: systemChance });
  for (const execution of end.executions.all()) await checkLog(end, logs, execution);
  for (const follower of end.followers) checkFollowed(end, follower);
  checkSecret(end);
}

async function checkLog({ invariants, onViolation }: End, logs: Logs, execution: Execution): Promise<void> {
  const { task, fence } = execution;
  const expected = masked(execution);
  const violated = (text: string) =>
    onViolation({ invariant: 'I8', task, text: `Task ${task} has a log under fence ${fence} that ${text}` });
  const stored = await storedLog(logs, task, fence).catch((error: unknown) => {
    if (!isCiError(error, 'invalid')) throw error;
    violated(`cannot be read: ${error.message}`);
  });
  if (stored === undefined) return;
  if (stored.includes(SECRET))
    return onViolation({ invariant: 'I13', task, text: `Task ${task} has its secret in its log` });
  if (!expected.startsWith(stored)) return violated('is not what it printed');
  const result = invariants.resultOf(task);
  if (result?.fence !== fence) return;
  // A task that is cancelled while its log cannot be stored ends without one.
  if (result.outcome === 'cancelled' && result.log.bytes === 0) return;
  if (Buffer.byteLength(stored) !== result.log.bytes)
    return violated(`has not the ${result.log.bytes} bytes of its result`);
  const isWhole = result.outcome === 'passed' || result.outcome === 'failed';
  if (isWhole && stored !== expected)
    violated(`lacks ${expected.length - stored.length} bytes of a task that has ${result.outcome}`);
}

/** Who looked on has seen what was printed and nothing else, without gap or repeat; of the attempt that counts, all of it. */
function checkFollowed({ executions, invariants, onViolation }: End, follower: LogFollower): void {
  const { task, problem } = follower;
  const violated = (text: string) =>
    onViolation({ invariant: 'I8', task, text: `Who followed the log of task ${task} has seen that it ${text}` });
  if (problem) violated(problem);
  const result = invariants.resultOf(task);
  for (const execution of executions.of(task)) {
    const seen = follower.seen(execution.fence);
    if (seen === undefined) continue;
    const expected = masked(execution);
    if (!expected.startsWith(seen)) violated(`under fence ${execution.fence} is not what was printed`);
    const isWhole = result?.fence === execution.fence && (result.outcome === 'passed' || result.outcome === 'failed');
    if (isWhole && seen !== expected)
      violated(`lacks ${expected.length - seen.length} bytes of the attempt that counts`);
  }
}

function masked({ printed }: Execution): string {
  return Buffer.concat(printed.map(({ bytes }) => bytes))
    .toString()
    .replaceAll(SECRET, '***');
}

async function storedLog(logs: Logs, task: TaskId, fence: number): Promise<string> {
  const request = { task, fence, from: 0, follow: false, isOver: async () => 'lost' as const };
  const parts: Uint8Array[] = [];
  for await (const event of logs.read(request, neverAborted)) if (event.kind === 'bytes') parts.push(event.bytes);
  return Buffer.concat(parts).toString();
}

function checkSecret({ etcd, objects, onViolation }: End): void {
  const violated = (where: string) =>
    onViolation({ invariant: 'I13', task: undefined, text: `The secret lies where anybody can read it: ${where}` });
  for (const { key, value } of etcd.all('')) if (value.includes(SECRET)) violated(key);
  for (const [key, { bytes }] of objects) if (Buffer.from(bytes).includes(SECRET)) violated(key);
}
