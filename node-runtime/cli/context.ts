import type { Chance } from '../system/chance.ts';
import type { AdapterOptions, RunningAdapter } from '../adapter-options.ts';
import type { NodeOptions, RunningNode } from '../options.ts';
import type { Clock } from '../system/clock.ts';
import type { Finding } from '../system/finding.ts';
import type { Command } from './command.ts';
import type { Environment } from './environment.ts';
import type { Interrupts } from './interrupts.ts';
import type { Terminal } from './terminal.ts';

/** What this program was made from, and as what; null where that is not known, as when the source runs as it is. */
interface BuildInfo {
  readonly commit: string | null;
  readonly built: string | null;
  readonly modified: boolean | null;
  /** Node and everything else in one file. */
  readonly isExecutable: boolean;
}

/** What a command works with. */
export interface CliContext {
  readonly version: string;
  readonly build: BuildInfo;
  readonly commands: readonly Command[];
  readonly environment: Environment;
  readonly terminal: Terminal;
  readonly interrupts: Interrupts;
  readonly clock: Clock;
  readonly chance: Chance;
  /** Ends the command: an interrupt that it has not taken, or nobody reads its output any more. */
  readonly signal: AbortSignal;
  /** What a node is made of meets in node.ts, which this folder does not know. */
  readonly startNode: (options: NodeOptions) => Promise<RunningNode>;
  readonly startMetricsAdapter: (options: AdapterOptions) => Promise<RunningAdapter>;
  /** How tasks would be kept away from a node on this machine. */
  readonly diagnoseIsolation: (wanted: NodeOptions['isolation']) => Promise<readonly Finding[]>;
  /** The command line that starts a node's supervisor. */
  readonly supervisorCommand: readonly [string, ...string[]];
}
