import { defineCommand } from '../command.ts';
import { outputOptions } from '../common-options.ts';
import { EXIT } from '../exit-codes.ts';

export const help = defineCommand({
  name: 'help',
  summary: 'Show help about a command',
  arguments: [
    { name: 'COMMAND', summary: 'Such as run, or token', optional: true },
    { name: 'WORD', summary: 'The second word of a command of two', optional: true },
  ],
  options: outputOptions,
  examples: [
    { what: 'How to follow a log', line: 'help logs' },
    { what: 'All commands as data', line: 'help --json' },
  ],
  async run({ terminal, environment, commands }, { arguments: words, options }) {
    const { formatHelp, usageOf } = await import('../help.ts');
    if (options.json) {
      const visible = commands.filter(command => !command.hidden && command.name.startsWith(words.join(' ')));
      terminal.print(JSON.stringify(visible.map(command => ({ usage: usageOf(command), ...command }))));
      return EXIT.passed;
    }
    const width = Math.min(terminal.columns ?? 100, 100);
    terminal.print(
      formatHelp(words.join(' '), commands, { style: terminal.style, width, program: environment.program }),
    );
    return EXIT.passed;
  },
});
