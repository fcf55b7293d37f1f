import { defineCommand } from '../command.ts';
import { connectionOptions, outputOptions } from '../common-options.ts';
import { EXIT } from '../exit-codes.ts';
import { taskArgument } from './task.ts';

export const cancel = defineCommand({
  name: 'cancel',
  summary: 'Stop a task',
  description:
    'Asks for the task to stop and returns at once; its node ends it within seconds. A finished task stays as it is.',
  arguments: [taskArgument],
  options: { ...connectionOptions, ...outputOptions },
  examples: [{ what: 'Stop it, wherever it runs', line: 'cancel 6v0b7x' }],
  async run(context, { arguments: [word = ''], options }) {
    const { connect } = await import('../connect.ts');
    const { findTaskId } = await import('../find-task-id.ts');
    const { viewStateText } = await import('../outcome-text.ts');
    await using connection = await connect(context, options);
    const { terminal, signal } = context;
    const id = await findTaskId(connection.client, word, signal);
    const view = await connection.client.call('cancelTask', { params: { id } }, signal);
    terminal.print(options.json ? JSON.stringify(view) : `${viewStateText(view, terminal.style)}  ${id}`);
    return EXIT.passed;
  },
});
