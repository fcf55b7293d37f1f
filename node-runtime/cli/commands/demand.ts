import { defineCommand } from '../command.ts';
import { connectionOptions, outputOptions } from '../common-options.ts';

export const demand = defineCommand({
  name: 'demand',
  summary: 'Show how many slots are asked for, and how many there are',
  description: `A pool is all nodes with the same labels. Its demand is what tasks take on its nodes that do not drain, and what waiting tasks ask for. It is an error while no node counts it.`,
  options: { ...connectionOptions, ...outputOptions },
  examples: [
    { what: 'Are there enough nodes?', line: 'demand' },
    { what: 'For a program that scales', line: 'demand --json' },
  ],
  async run(context, { options }) {
    const { showDemand } = await import('../show-demand.ts');
    return showDemand(context, options);
  },
});
