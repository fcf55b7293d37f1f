import type { TaskState, TaskSummary } from '../../shared/api.ts';
import type { Client } from '../../shared/client.ts';
import type { ConnectionOptions } from './common-options.ts';
import { connect } from './connect.ts';
import type { CliContext } from './context.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { stateText } from './outcome-text.ts';
import { taskTable } from './task-table.ts';
import { plainText } from './text-width.ts';

type Options = ConnectionOptions & {
  readonly state: TaskState | undefined;
  readonly limit: number;
  readonly json: boolean;
};

export async function listTasks(context: CliContext, options: Options): Promise<ExitCode> {
  await using connection = await connect(context, options);
  const { terminal, clock } = context;
  const { tasks, next } = await readTasks(connection.client, options, context.signal);
  if (options.json) terminal.print(JSON.stringify({ tasks, ...(next !== undefined && { next }) }));
  else if (tasks.length === 0) terminal.say(`There are no ${options.state ?? ''} tasks.`.replace('  ', ' '));
  else {
    const layout = { now: clock.now(), columns: terminal.columns, style: terminal.style };
    for (const line of taskTable(tasks, layout)) terminal.print(line);
    if (next !== undefined) terminal.say(`There are more: --limit ${options.limit * 10} shows them.`);
  }
  return EXIT.passed;
}

/** What is there first, then a line for each change until Ctrl-C. */
export async function watchTasks(context: CliContext, options: Options): Promise<ExitCode> {
  await using connection = await connect(context, options);
  const { terminal, signal, clock } = context;
  const isWanted = (task: TaskSummary) => options.state === undefined || task.state === options.state;
  for await (const update of connection.client.watchTasks(signal)) {
    if (options.json) terminal.print(JSON.stringify(update));
    else if (update.kind === 'snapshot') {
      const layout = { now: clock.now(), columns: terminal.columns, style: terminal.style };
      for (const line of taskTable(update.tasks.filter(isWanted).slice(0, options.limit), layout)) terminal.print(line);
    } else if (update.kind === 'changed' && isWanted(update.task)) {
      const { task } = update;
      const time = new Date(clock.now()).toTimeString().slice(0, 8);
      const message = task.message ? `: ${plainText(task.message)}` : '';
      terminal.print(`${time}  ${task.id}  ${stateText(task, terminal.style)}  ${plainText(task.name)}${message}`);
    }
  }
  return EXIT.passed;
}

/** Pages of a thousand until there are enough. */
async function readTasks(client: Client, { state, limit }: Options, signal: AbortSignal) {
  const tasks: TaskSummary[] = [];
  let next: string | undefined;
  do {
    const page = await client.call(
      'listTasks',
      {
        query: {
          limit: Math.min(1000, limit - tasks.length),
          ...(state && { state }),
          ...(next !== undefined && { after: next }),
        },
      },
      signal,
    );
    tasks.push(...page.tasks);
    next = page.tasks.length > 0 ? page.next : undefined;
  } while (next !== undefined && tasks.length < limit);
  return { tasks, next };
}
