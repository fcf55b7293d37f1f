import { CiError } from '../../shared/errors.ts';
import type { CliContext } from './context.ts';

/** What the person types, unseen, or all of standard input when nobody can be asked; without its last line break. */
export async function askSecret({ terminal, signal }: CliContext, question: string): Promise<string> {
  const text = terminal.canAsk
    ? await terminal.ask(question, { hidden: true, signal })
    : await terminal.readInput(signal);
  const value = text.replace(/\r?\n$/, '');
  if (value !== '') return value;
  throw new CiError('invalid', 'Cannot go on as nothing was typed, or came from standard input');
}
