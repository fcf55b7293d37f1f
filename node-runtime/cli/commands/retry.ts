import { defineCommand } from '../command.ts';
import { connectionOptions, outputOptions } from '../common-options.ts';
import { taskArgument } from './task.ts';

export const retry = defineCommand({
  name: 'retry',
  summary: 'Submit a task again, as it was, under a new id',
  arguments: [taskArgument],
  options: {
    follow: { kind: 'flag', short: 'f', summary: 'Show its log, and end with its outcome as `run` does' },
    timestamps: { kind: 'flag', short: 't', summary: 'Begin each line of the log with its time, in UTC' },
    ...connectionOptions,
    ...outputOptions,
  },
  examples: [
    { what: 'Once more', line: 'retry 6v0b7x' },
    { what: 'Once more, and watch', line: 'retry 6v0b7x -f' },
  ],
  async run(context, { arguments: [id = ''], options }) {
    const { retryTask } = await import('../retry-task.ts');
    return retryTask(context, id, options);
  },
});
