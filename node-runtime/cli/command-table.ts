import type { Command } from './command.ts';
import { completion } from './commands/completion.ts';
import { help } from './commands/help.ts';
import { version } from './commands/version.ts';

/** In the order in which help shows them. */
export const COMMANDS: readonly Command[] = [completion, version, help];
