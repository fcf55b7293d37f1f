/** One word of a POSIX shell, whatever is in it. */
export function shellQuote(word: string): string {
  const isPlain = /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) && !/^\w+=/.test(word);
  return isPlain ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** A command line that runs the program with exactly these arguments. */
export function shellCommand(argv: readonly string[]): string {
  return argv.map(shellQuote).join(' ');
}
