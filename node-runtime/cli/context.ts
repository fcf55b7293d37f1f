import type { Chance } from '../system/chance.ts';
import type { Clock } from '../system/clock.ts';
import type { Command } from './command.ts';
import type { Environment } from './environment.ts';
import type { Interrupts } from './interrupts.ts';
import type { StartNode } from './start-node.ts';
import type { Terminal } from './terminal.ts';

/** What a command works with. */
export interface CliContext {
  readonly version: string;
  readonly commands: readonly Command[];
  readonly environment: Environment;
  readonly terminal: Terminal;
  readonly interrupts: Interrupts;
  readonly clock: Clock;
  readonly chance: Chance;
  /** Ends the command: an interrupt that it has not taken, or nobody reads its output any more. */
  readonly signal: AbortSignal;
  readonly startNode: StartNode;
  /** The command line that starts a node's supervisor. */
  readonly supervisorCommand: readonly [string, ...string[]];
}
