import { defineCommand } from '../command.ts';
import { connectionOptions, outputOptions } from '../common-options.ts';

/** The argument of every command about one task. */
export const taskArgument = {
  name: 'ID',
  summary: 'Of the task; six or more characters from its beginning or end will do if they are its alone',
} as const;

export const task = defineCommand({
  name: 'task',
  summary: 'Show one task: its state, its steps, and what happened to earlier attempts',
  arguments: [taskArgument],
  options: { ...connectionOptions, ...outputOptions },
  examples: [
    { what: 'How it went', line: 'task 50hx5w7m3c9d2k8q4t1n6v0b' },
    { what: 'Everything that is known of it', line: 'task 6v0b7x --json' },
  ],
  async run(context, { arguments: [id = ''], options }) {
    const { showTask } = await import('../show-task.ts');
    return showTask(context, id, options);
  },
});
