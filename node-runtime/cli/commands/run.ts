import { defineCommand } from '../command.ts';
import { connectionOptions, outputOptions } from '../common-options.ts';
import { taskOptions } from '../task-options.ts';

export const run = defineCommand({
  name: 'run',
  summary: 'Run a task on your workspace as it is now, and watch its log',
  description: `Sends the folder with its uncommitted changes, without what git ignores, and runs a task of it: one of simple-ci.yaml, else the npm script, Makefile target or VS Code task of that name, else the command after --. Without either it lists what there is.

With nothing set up it runs on a node inside this command. Ctrl-C cancels the task; a second one leaves it running.

Ends with 0 if the task passed, 1 if it failed, 2 for a wrong command line or task, 3 if the cluster cannot be reached or lost the task, 4 if it timed out, 130 if it was cancelled.`,
  arguments: [{ name: 'NAME', summary: 'Of the task', optional: true }],
  rest: { name: 'COMMAND…', summary: 'What to run instead, as you would type it' },
  options: {
    dir: { kind: 'text', short: 'C', value: 'DIR', summary: 'The workspace, or a folder in it', default: '.' },
    detach: { kind: 'flag', short: 'd', summary: 'Submit it, print its id and return' },
    timestamps: { kind: 'flag', short: 't', summary: 'Begin each line of the log with its time, in UTC' },
    ...taskOptions,
    'allow-secrets': { kind: 'flag', summary: 'Send untracked files even if they look like secrets' },
    yes: { kind: 'flag', short: 'y', summary: 'Send more than 50 MB without a question' },
    ...connectionOptions,
    ...outputOptions,
  },
  examples: [
    { what: 'What is there to run?', line: 'run' },
    { what: 'A task of simple-ci.yaml, or a script of package.json', line: 'run test' },
    { what: 'Any command, and keep what it makes', line: "run --artifact 'dist/**' -- npm run build" },
    { what: 'Leave it to the cluster', line: 'run test --detach' },
  ],
  async run(context, { arguments: [name], rest, options }) {
    const { runTask } = await import('../run-task.ts');
    return runTask(context, { name, command: rest }, options);
  },
});
