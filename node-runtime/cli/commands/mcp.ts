import { defineCommand } from '../command.ts';
import { connectionOptions, outputOptions } from '../common-options.ts';
import { taskOptions } from '../task-options.ts';

export const mcp = defineCommand({
  name: 'mcp',
  summary: 'Give coding agents tools to run tasks and to read why they failed',
  description: `Speaks the Model Context Protocol (MCP) on standard input and output, for a program that starts it: an editor or an agent. It ends when its input does. There are three tools: run, status and failure_log. What it runs, it runs on the workspace as it is, like the command run; files that look like secrets are not sent, nor more than 50 MB.

With nothing set up, tasks run on a node inside this program.`,
  options: {
    dir: { kind: 'text', short: 'C', value: 'DIR', summary: 'The workspace, or a folder in it', default: '.' },
    ...taskOptions,
    ...connectionOptions,
    ...outputOptions,
  },
  examples: [
    { what: 'What to put into the settings of an agent', line: 'mcp' },
    {
      what: 'Whatever it runs, only on nodes with a label, and for ten minutes',
      line: 'mcp --label agents --timeout 10m',
    },
    { what: 'For one workspace and one cluster', line: 'mcp -C ~/project --url https://ci.example.com' },
  ],
  async run(context, { options }) {
    const { serveMcp } = await import('../serve-mcp.ts');
    return serveMcp(context, options);
  },
});
