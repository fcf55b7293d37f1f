import type { Client } from '../client.ts';

/** What is to be run: a task that the workspace names, or a command as one would type it. */
export type AgentTask =
  | { readonly kind: 'named'; readonly name: string }
  | { readonly kind: 'command'; readonly command: string };

/** What the tools for agents work with: the command line and the extension have their own ways to a cluster and to files. */
export interface AgentHost {
  readonly client: Client;
  /** Sends the workspace and puts the task into the queue. Rejects with what the user has to know if it is not to be. */
  submit(task: AgentTask, signal: AbortSignal): Promise<AgentSubmission>;
  /** What the workspace has to run. */
  taskNames(signal: AbortSignal): Promise<readonly string[]>;
  now(): number;
  /** Rejects with the signal's reason. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export interface AgentSubmission {
  readonly id: string;
  /** Of the files that were sent: a sentence. */
  readonly sent: string;
}
