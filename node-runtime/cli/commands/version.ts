import { defineCommand } from '../command.ts';
import { outputOptions } from '../common-options.ts';
import { EXIT } from '../exit-codes.ts';

export const version = defineCommand({
  name: 'version',
  summary: 'Show the version',
  options: outputOptions,
  examples: [{ what: 'Which release this is', line: 'version' }],
  async run({ terminal, version }, { options }) {
    const { node } = process.versions;
    const { platform, arch } = process;
    terminal.print(options.json ? JSON.stringify({ name: 'simple-ci', version, node, platform, arch }) : version);
    return EXIT.passed;
  },
});
