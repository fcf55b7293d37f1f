import { defineCommand } from '../command.ts';
import { outputOptions } from '../common-options.ts';
import { EXIT } from '../exit-codes.ts';

export const completion = defineCommand({
  name: 'completion',
  summary: 'Print a script that completes commands in your shell',
  arguments: [{ name: 'SHELL', summary: 'bash, zsh or fish', choices: ['bash', 'zsh', 'fish'] }],
  options: outputOptions,
  examples: [
    { what: 'In this shell', line: 'completion bash > /tmp/simple-ci.bash && source /tmp/simple-ci.bash' },
    { what: 'For good', line: 'completion fish > ~/.config/fish/completions/simple-ci.fish' },
  ],
  async run({ terminal, commands }, { arguments: [shell], options }) {
    const { completionScript, SHELLS } = await import('../completion.ts');
    const script = completionScript(SHELLS.find(one => one === shell)!, commands);
    terminal.print(options.json ? JSON.stringify({ shell, script }) : script.trimEnd());
    return EXIT.passed;
  },
});
