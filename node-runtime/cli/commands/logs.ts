import { defineCommand } from '../command.ts';
import { connectionOptions, outputOptions } from '../common-options.ts';
import { taskArgument } from './task.ts';

export const logs = defineCommand({
  name: 'logs',
  summary: 'Show what a task printed, live or stored',
  description:
    'Control characters that would steer your terminal are left out; --raw gives the exact bytes. Without --attempt it is the attempt that finished the task, or the one under way.',
  arguments: [taskArgument],
  options: {
    follow: { kind: 'flag', short: 'f', summary: 'Go on until the task is finished, over all its attempts' },
    attempt: { kind: 'number', value: 'N', summary: 'Of this attempt, counted from 1', min: 1 },
    from: { kind: 'number', value: 'BYTE', summary: 'Begin at this byte of the attempt’s output' },
    tail: { kind: 'number', value: 'BYTES', summary: 'Begin so many bytes before the end' },
    timestamps: { kind: 'flag', short: 't', summary: 'Begin each line with its time, in UTC' },
    raw: { kind: 'flag', summary: 'Exactly the bytes that were printed, and nothing else' },
    ...connectionOptions,
    ...outputOptions,
  },
  examples: [
    { what: 'Watch it live', line: 'logs 6v0b7x -f' },
    { what: 'Its end', line: 'logs 6v0b7x --tail 2000' },
    { what: 'Byte for byte', line: 'logs 6v0b7x --raw > build.log' },
  ],
  async run(context, { arguments: [id = ''], options }) {
    const { showLog } = await import('../show-log.ts');
    return showLog(context, id, options);
  },
});
