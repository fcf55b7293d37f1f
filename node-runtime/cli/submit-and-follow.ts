import { CiError } from '../../shared/errors.ts';
import type { TaskId } from '../../shared/ids.ts';
import type { TaskSpec } from '../../shared/task.ts';
import { deadline, neverAborted } from '../system/clock.ts';
import type { Connection, EmbeddedWork } from './connect.ts';
import type { CliContext } from './context.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { type FollowOptions, followTask } from './follow-task.ts';

export interface Submission extends FollowOptions {
  /** Made by us, so that a submission that is said twice is done once. */
  readonly id: TaskId;
  readonly task: TaskSpec;
  /** Return as soon as the task is in the queue. */
  readonly detach: boolean;
}

/** What an embedded node does for one task, whatever else lies in this machine's store. */
export function workFor(id: TaskId, { slots = 1, labels = [] }: Pick<TaskSpec, 'slots' | 'labels'>): EmbeddedWork {
  return { slots, labels, accepts: other => other === id };
}

export async function submitAndFollow(
  context: CliContext,
  connection: Connection,
  submission: Submission,
): Promise<ExitCode> {
  const { terminal } = context;
  const { detach, json } = submission;
  if (detach && connection.isEmbedded) {
    const program = context.environment.program;
    throw new CiError(
      'invalid',
      `Cannot leave the task running as there is no cluster to run it: log in to one with \`${program} login URL\`, or wait for its end`,
    );
  }
  const view = await submit(context, connection, submission);
  const submitted = { event: 'submitted', id: view.id, name: view.task.name };
  if (json) terminal.print(JSON.stringify(detach ? { ...submitted, ...view } : submitted));
  else if (detach) terminal.print(view.id);
  else if (!connection.isEmbedded) terminal.say(`Submitted ${view.id}.`);
  if (!detach) return followTask(context, connection, view, submission);
  if (!json) terminal.say(`Submitted. Its log: ${connection.hint(`logs ${view.id} -f`)}`);
  return EXIT.passed;
}

const WITHDRAW_LIMIT_MS = 5000;

/** Whoever interrupts while we do not know whether it was submitted wants it gone either way. */
async function submit({ signal, clock }: CliContext, { client }: Connection, { id, task }: Submission) {
  try {
    return await client.call('submitTask', { body: { id, task } }, signal);
  } catch (error) {
    if (signal.aborted) {
      using limit = deadline(clock, WITHDRAW_LIMIT_MS, neverAborted);
      await client.call('cancelTask', { params: { id } }, limit.signal).catch(() => undefined);
    }
    throw error;
  }
}
