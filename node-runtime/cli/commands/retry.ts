import { newTaskId } from '../../../shared/ids.ts';
import { defineCommand } from '../command.ts';
import { connectionOptions, outputOptions } from '../common-options.ts';
import { EXIT } from '../exit-codes.ts';
import { taskArgument } from './task.ts';

export const retry = defineCommand({
  name: 'retry',
  summary: 'Submit a task again, as it was, under a new id',
  arguments: [taskArgument],
  options: { ...connectionOptions, ...outputOptions },
  examples: [{ what: 'Once more', line: 'retry 6v0b7x' }],
  async run(context, { arguments: [word = ''], options }) {
    const { connect } = await import('../connect.ts');
    const { findTaskId } = await import('../find-task-id.ts');
    await using connection = await connect(context, options);
    const { terminal, signal, clock, chance } = context;
    const id = await findTaskId(connection.client, word, signal);
    const fresh = newTaskId(Number(id[0]), clock.now(), () => chance.random());
    const view = await connection.client.call('retryTask', { params: { id }, body: { id: fresh } }, signal);
    terminal.print(options.json ? JSON.stringify(view) : view.id);
    if (!options.json) terminal.say(`Its log: ${connection.hint(`logs ${view.id} -f`)}`);
    return EXIT.passed;
  },
});
