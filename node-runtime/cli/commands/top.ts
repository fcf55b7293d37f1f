import { defineCommand } from '../command.ts';
import { connectionOptions, outputOptions } from '../common-options.ts';

export const top = defineCommand({
  name: 'top',
  summary: 'Show what the cluster is at: nodes, what runs, what waits and why',
  description: `A screen that follows the cluster until Ctrl-C. Where standard output is no terminal, or with --once, it is printed once.`,
  options: {
    once: { kind: 'flag', summary: 'Print it once' },
    ...connectionOptions,
    ...outputOptions,
  },
  examples: [
    { what: 'What is going on?', line: 'top' },
    { what: 'For a program', line: 'top --json' },
  ],
  async run(context, { options }) {
    const { runTop } = await import('../run-top.ts');
    return runTop(context, options);
  },
});
