import { defineCommand } from '../command.ts';
import { connectionOptions, outputOptions } from '../common-options.ts';

export const tasks = defineCommand({
  name: 'tasks',
  summary: 'List tasks: queued ones in queue order, finished ones newest first',
  options: {
    state: { kind: 'choice', choices: ['queued', 'running', 'finished'], value: 'STATE', summary: 'Only those' },
    limit: { kind: 'number', short: 'n', value: 'N', summary: 'At most so many', default: 30, min: 1, max: 100_000 },
    watch: { kind: 'flag', short: 'w', summary: 'Go on, with a line for each change' },
    ...connectionOptions,
    ...outputOptions,
  },
  examples: [
    { what: 'What is going on', line: 'tasks' },
    { what: 'What waits', line: 'tasks --state queued' },
    { what: 'Changes as they happen, for a script', line: 'tasks --watch --json' },
  ],
  async run(context, { options }) {
    const { listTasks, watchTasks } = await import('../list-tasks.ts');
    return options.watch ? watchTasks(context, options) : listTasks(context, options);
  },
});
