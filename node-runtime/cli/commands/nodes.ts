import { defineCommand } from '../command.ts';
import { connectionOptions, outputOptions } from '../common-options.ts';

export const nodes = defineCommand({
  name: 'nodes',
  summary: 'List the nodes that are alive',
  options: {
    watch: { kind: 'flag', short: 'w', summary: 'Go on, with a line for each change' },
    ...connectionOptions,
    ...outputOptions,
  },
  examples: [
    { what: 'Who is there', line: 'nodes' },
    { what: 'Who comes and goes', line: 'nodes --watch' },
  ],
  async run(context, { options }) {
    const { listNodes, watchNodes } = await import('../list-nodes.ts');
    return options.watch ? watchNodes(context, options) : listNodes(context, options);
  },
});
