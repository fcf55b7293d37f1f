import { defineCommand } from '../command.ts';
import { connectionOptions, outputOptions } from '../common-options.ts';

export const submit = defineCommand({
  name: 'submit',
  summary: 'Submit a task.json (or .yaml)',
  description:
    'The file is the whole task, its source too: a git address and ref, a snapshot, or none. Prints the id of the new task. To run what lies in your folder, use `run`.',
  arguments: [{ name: 'FILE', summary: 'The task, or - for standard input' }],
  options: {
    follow: { kind: 'flag', short: 'f', summary: 'Show its log, and end with its outcome as `run` does' },
    timestamps: { kind: 'flag', short: 't', summary: 'Begin each line of the log with its time, in UTC' },
    ...connectionOptions,
    ...outputOptions,
  },
  examples: [
    { what: 'From a file', line: 'submit task.json' },
    { what: 'From a program, with the answer as data', line: 'submit - --json < task.json' },
  ],
  async run(context, { arguments: [file = ''], options }) {
    const { submitFile } = await import('../submit-file.ts');
    return submitFile(context, file, options);
  },
});
