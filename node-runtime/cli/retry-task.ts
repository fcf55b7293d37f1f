import type { TaskView } from '../../shared/api.ts';
import { newTaskId } from '../../shared/ids.ts';
import type { ConnectionOptions } from './common-options.ts';
import { type Connection, connect } from './connect.ts';
import type { CliContext } from './context.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { findTaskId } from './find-task-id.ts';
import { followTask } from './follow-task.ts';
import { workFor } from './submit-and-follow.ts';

type Options = ConnectionOptions & {
  readonly follow: boolean;
  readonly timestamps: boolean;
  readonly json: boolean;
};

/** The new task has the old one's priority; an embedded node that was opened to read is opened again to run it. */
export async function retryTask(context: CliContext, word: string, options: Options): Promise<ExitCode> {
  const old = await findOld(context, word, options);
  const { clock, chance, signal, terminal } = context;
  const id = newTaskId(Number(old.id[0]), clock.now(), () => chance.random());
  await using connection = await connect(context, options, workFor(id, old.task));
  const view = await connection.client.call('retryTask', { params: { id: old.id }, body: { id } }, signal);
  if (options.follow || connection.isEmbedded) {
    if (options.json) terminal.print(JSON.stringify({ event: 'submitted', id: view.id, name: view.task.name }));
    else if (!connection.isEmbedded) terminal.say(`Submitted ${view.id}.`);
    return await followTask(context, connection, view, options);
  }
  printNew(context, connection, view, options.json);
  return EXIT.passed;
}

async function findOld(context: CliContext, word: string, options: Options): Promise<TaskView> {
  await using connection = await connect(context, options);
  const id = await findTaskId(connection.client, word, context.signal);
  return await connection.client.call('getTask', { params: { id } }, context.signal);
}

function printNew({ terminal }: CliContext, { hint }: Connection, view: TaskView, json: boolean): void {
  terminal.print(json ? JSON.stringify(view) : view.id);
  if (!json) terminal.say(`Submitted again. Its log: ${hint(`logs ${view.id} -f`)}`);
}
