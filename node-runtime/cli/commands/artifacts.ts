import { defineCommand } from '../command.ts';
import { connectionOptions, outputOptions } from '../common-options.ts';
import { taskArgument } from './task.ts';

export const artifacts = defineCommand({
  name: 'artifacts',
  summary: 'List the files that a finished task kept, or fetch them',
  description:
    'Without PATH and -o it lists them. What is fetched is checked against the hash that was noted when it was kept, and is there whole or not at all. Files that are there already are replaced.',
  arguments: [
    taskArgument,
    {
      name: 'PATH',
      summary: 'Of one artifact or of a folder, or a pattern with * ** ? and [ ] for several',
      optional: true,
    },
  ],
  options: {
    output: {
      kind: 'text',
      short: 'o',
      value: 'PLACE',
      summary: 'The folder to put them into; for a single one also a file, or - for standard output',
    },
    ...connectionOptions,
    ...outputOptions,
  },
  examples: [
    { what: 'What there is', line: 'artifacts 6v0b7x' },
    { what: 'All of it', line: 'artifacts 6v0b7x -o ./kept' },
    { what: 'One file', line: 'artifacts 6v0b7x dist/app.tgz -o app.tgz' },
  ],
  async run(context, { arguments: [id = '', path], options }) {
    const { fetchArtifacts, listArtifacts } = await import('../fetch-artifacts.ts');
    if (path === undefined && options.output === undefined) return listArtifacts(context, id, options);
    return fetchArtifacts(context, id, path, options);
  },
});
