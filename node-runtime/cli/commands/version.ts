import { defineCommand } from '../command.ts';
import { outputOptions } from '../common-options.ts';
import type { CliContext } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { isolationOption } from '../store-options.ts';

export const version = defineCommand({
  name: 'version',
  summary: 'Show the version',
  description:
    'With --json also the commit it was built from and the date of that, the Node in it, whether it is the one executable or a script, and what it can do on this system. What of that works on this machine, `simple-ci doctor` finds out.',
  options: outputOptions,
  examples: [
    { what: 'Which release this is', line: 'version' },
    { what: 'What it was built from, and what it can do', line: 'version --json' },
  ],
  async run({ terminal, version, build }, { options }) {
    terminal.print(options.json ? JSON.stringify(describe(version, build)) : version);
    return EXIT.passed;
  },
});

function describe(version: string, { isExecutable, ...build }: CliContext['build']) {
  const { node, sqlite } = process.versions;
  const { platform, arch } = process;
  const isolation = isolationOption.choices.filter(how => how === 'none' || (how !== 'auto' && platform === 'linux'));
  const capabilities = { sqlite, isolation, executable: isExecutable };
  return { name: 'simple-ci', version, ...build, node, platform, arch, capabilities };
}
