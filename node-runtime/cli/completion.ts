import type { Command, OptionSpec } from './command.ts';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** A script that completes commands, options and known words; made of the same table as the help. */
export function completionScript(shell: Shell, commands: readonly Command[]): string {
  const visible = withTopics(commands.filter(command => !command.hidden));
  switch (shell) {
    case 'bash':
      return bashScript(visible);
    case 'zsh':
      return zshScript(visible);
    case 'fish':
      return fishScript(visible);
  }
}

/** What `help` takes are the commands themselves. */
function withTopics(commands: readonly Command[]): readonly Command[] {
  const choices = summaries(commands).map(([word]) => word);
  return commands.map(command =>
    command.name === 'help' ? { ...command, arguments: [{ name: 'COMMAND', summary: '', choices }] } : command,
  );
}

function bashScript(commands: readonly Command[]): string {
  return `# Completion of simple-ci for bash: source <(simple-ci completion bash)
_simple_ci() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} line words=
  line="\${COMP_WORDS[*]:1:COMP_CWORD-1} "
  case "$line" in *" -- "*|"-- "*) COMPREPLY=($(compgen -f -- "$cur")); return;; esac
  case "$line" in
${[...commands]
  .sort((a, b) => b.name.length - a.name.length)
  .map(command => bashCase(command))
  .join('\n')}
${groups(commands)
  .map(([group, words]) => `    '${group} '*) words='${words.join(' ')}' ;;`)
  .join('\n')}
    *) words='${firstWords(commands).join(' ')}' ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  [ \${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- "$cur"))
}
complete -F _simple_ci simple-ci
`;
}

function bashCase(command: Command): string {
  const choices = Object.entries(command.options).filter(([, spec]) => spec.choices);
  const values = choices.map(
    ([name, spec]) => `        ${optionNames(name, spec).join('|')}) words='${spec.choices!.join(' ')}' ;;`,
  );
  const words = `words='${[...argumentWords(command), ...optionWords(command)].join(' ')}'`;
  if (values.length === 0) return `    '${command.name} '*) ${words} ;;`;
  return `    '${command.name} '*) case "$prev" in\n${values.join('\n')}\n        *) ${words} ;;\n      esac ;;`;
}

function zshScript(commands: readonly Command[]): string {
  return `#compdef simple-ci
# Completion of simple-ci for zsh: simple-ci completion zsh > "\${fpath[1]}/_simple-ci"
_simple_ci() {
  local -a words_here
  local line="\${words[2,CURRENT-1]} "
  case "$line" in
    *' -- '*) _files; return ;;
${[...commands]
  .sort((a, b) => b.name.length - a.name.length)
  .map(command => `    '${command.name} '*) words_here=(${zshWords(command)}) ;;`)
  .join('\n')}
${groups(commands)
  .map(([group, words]) => `    '${group} '*) words_here=(${words.join(' ')}) ;;`)
  .join('\n')}
    *) words_here=(${summaries(commands)
      .map(([word, summary]) => zshQuote(`${word}:${summary}`))
      .join(' ')}) ;;
  esac
  _describe 'simple-ci' words_here || _files
}
_simple_ci "$@"
`;
}

function zshWords(command: Command): string {
  const options = Object.entries(command.options).map(([name, spec]) => zshQuote(`--${name}:${spec.summary}`));
  return [...argumentWords(command), ...options, zshQuote('--help:Show help')].join(' ');
}

function fishScript(commands: readonly Command[]): string {
  const lines = summaries(commands).map(
    ([word, summary]) => `complete -c simple-ci -n __fish_use_subcommand -f -a ${word} -d ${fishQuote(summary)}`,
  );
  return `# Completion of simple-ci for fish: simple-ci completion fish > ~/.config/fish/completions/simple-ci.fish
${[...lines, ...commands.flatMap(command => fishLines(command, commands))].join('\n')}
`;
}

function fishLines(command: Command, commands: readonly Command[]): string[] {
  const [first = '', second] = command.name.split(' ');
  const inFirst = `__fish_seen_subcommand_from ${first}`;
  const siblings = new Map(groups(commands)).get(first) ?? [];
  const condition = second ? `${inFirst}; and __fish_seen_subcommand_from ${second}` : inFirst;
  const start = `complete -c simple-ci -n '${condition}'`;
  const notYet = `${inFirst}; and not __fish_seen_subcommand_from ${siblings.join(' ')}`;
  const below = `complete -c simple-ci -n '${notYet}' -f -a ${second} -d ${fishQuote(command.summary)}`;
  const options = Object.entries(command.options).map(([name, spec]) => {
    const short = spec.short ? ` -s ${spec.short}` : '';
    const value = spec.choices ? ` -x -a ${fishQuote(spec.choices.join(' '))}` : spec.kind === 'flag' ? '' : ' -r';
    return `${start} -l ${name}${short}${value} -d ${fishQuote(spec.summary)}`;
  });
  const words = argumentWords(command);
  return [
    ...(second ? [below] : []),
    ...(words.length > 0 ? [`${start} -f -a ${fishQuote(words.join(' '))}`] : []),
    ...options,
  ];
}

/** First words with what to say of them: a group of commands has one entry. */
function summaries(commands: readonly Command[]): [string, string][] {
  const first = new Map<string, string>();
  for (const { name, summary } of commands) {
    const [word = ''] = name.split(' ');
    first.set(word, first.has(word) ? `${first.get(word)}; ${summary}` : summary);
  }
  return [...first];
}

function firstWords(commands: readonly Command[]): string[] {
  return [...summaries(commands).map(([word]) => word), '--help', '--version'];
}

/** Words after which a second one is needed, with what that may be. */
function groups(commands: readonly Command[]): [string, string[]][] {
  const found = new Map<string, string[]>();
  for (const { name } of commands) {
    const [first = '', second] = name.split(' ');
    if (second) found.set(first, [...(found.get(first) ?? []), second]);
  }
  return [...found];
}

function optionWords(command: Command): string[] {
  return [...Object.entries(command.options).flatMap(([name, spec]) => optionNames(name, spec)), '--help'];
}

function optionNames(name: string, spec: OptionSpec): string[] {
  return spec.short ? [`--${name}`, `-${spec.short}`] : [`--${name}`];
}

function argumentWords(command: Command): readonly string[] {
  return command.arguments?.flatMap(argument => argument.choices ?? []) ?? [];
}

function zshQuote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function fishQuote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
