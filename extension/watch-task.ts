import type { Client } from '../shared/client.ts';
import { explainQueue } from '../shared/explain-queue.ts';
import type { TaskId } from '../shared/ids.ts';
import type { LogAttemptEvent, LogMark } from '../shared/log.ts';
import { LiveSteps } from '../shared/task-page/live-steps.ts';
import type { Clock } from './clock.ts';
import { type ClusterConnection, IMPATIENT } from './cluster-connection.ts';
import { readTaskDetails, type TaskDetails } from './task-details.ts';
import type { TaskPageKnowledge } from './task-page-content.ts';

export interface TaskWatch {
  /** Whoever calls wants it, so that changes are pushed. */
  readonly connection: Pick<ClusterConnection, 'client' | 'clientAt' | 'state' | 'stateChanged'>;
  readonly clock: Clock;
  readonly task: string;
  /** Called whenever more is known, and once a second while the task is under way. */
  readonly tell: (knowledge: TaskPageKnowledge) => void;
}

const TICK_MS = 1000;

/** Tells of one task until it has finished. Rejects when the cluster cannot be asked, and with the signal's reason. */
export async function watchTask(watch: TaskWatch, signal: AbortSignal): Promise<void> {
  const { connection, clock, task, tell } = watch;
  await using client = await connection.client(IMPATIENT);
  const over = new AbortController();
  const underWay = AbortSignal.any([signal, over.signal]);
  let details: TaskDetails | undefined;
  let live = new LiveSteps();
  const tellNow = () => {
    if (details) tell({ details, live: live.steps, why: whyQueued(watch), now: clock.now() });
  };
  const followSteps = async () => {
    for await (const steps of attemptsOf(watch, client, underWay)) {
      live = steps;
      tellNow();
    }
  };
  const tick = async () => {
    for (;;) {
      await clock.sleep(TICK_MS, underWay);
      tellNow();
    }
  };
  let beside: Promise<unknown> | undefined;
  try {
    for (;;) {
      const changed = nextChange(watch, underWay);
      details = await readTaskDetails(client, task, signal);
      tellNow();
      if (details.view.state === 'finished') return;
      beside ??= Promise.allSettled([followSteps(), tick()]);
      await changed;
    }
  } finally {
    over.abort(new Error('The task is no longer watched'));
    await beside;
  }
}

/** The steps of each attempt as it comes, told again with each mark in its log. */
async function* attemptsOf(watch: TaskWatch, client: Client, signal: AbortSignal): AsyncGenerator<LiveSteps> {
  const { task } = watch;
  let steps = new LiveSteps();
  for await (const event of client.log(task, { tail: 0, follow: true, isWithoutBytes: true }, signal)) {
    if (event.kind === 'attempt') {
      steps = new LiveSteps();
      for (const mark of await marksOf(watch, client, event, signal)) steps.add(mark);
      yield steps;
    }
    if (event.kind === 'mark') {
      steps.add(event.mark);
      yield steps;
    }
  }
}

/** What the log has told already: the node that is asked knows that of its own attempts, else the one that runs it is asked. */
async function marksOf(
  { connection, task }: TaskWatch,
  client: Client,
  { fence, node }: LogAttemptEvent,
  signal: AbortSignal,
): Promise<readonly LogMark[]> {
  const read = async (from: Client) => {
    const { marks } = await from.call('logMarks', { params: { id: task, fence } }, signal);
    return marks as LogMark[];
  };
  const known = await read(client);
  if (known.length > 0) return known;
  await using holder = await connection.clientAt(node);
  return holder ? read(holder).catch(() => []) : [];
}

/** Resolves when the cluster has pushed something new of the task; rejects when the signal fires. */
function nextChange({ connection, task }: TaskWatch, signal: AbortSignal): Promise<void> {
  const stage = () => {
    const { state, attempt, cancelling } = connection.state.tasks?.get(task) ?? {};
    return [state, attempt, cancelling].join();
  };
  const before = stage();
  const changed = Promise.withResolvers<void>();
  const listening = connection.stateChanged.on(() => {
    if (stage() !== before) changed.resolve();
  });
  const aborted = () => changed.reject(signal.reason);
  signal.addEventListener('abort', aborted, { once: true });
  const ended = changed.promise.finally(() => {
    listening[Symbol.dispose]();
    signal.removeEventListener('abort', aborted);
  });
  // Nobody waits when the task is found finished.
  ended.catch(() => undefined);
  return ended;
}

function whyQueued({ connection, task: id }: TaskWatch): string | undefined {
  const { tasks, nodes } = connection.state;
  const task = tasks?.get(id);
  if (!tasks || !nodes || task?.state !== 'queued') return undefined;
  return explainQueue(id as TaskId, task, tasks.values(), nodes.values()).text;
}
