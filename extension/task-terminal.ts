import * as l10n from '@vscode/l10n';
import * as vscode from 'vscode';
import { describeError } from '../shared/errors.ts';
import { EXIT, exitCodeOfOutcome } from '../shared/exit-codes.ts';
import type { Client } from '../shared/client.ts';
import { LogText } from '../shared/log-text.ts';
import type { TaskResult } from '../shared/result.ts';
import type { Clusters } from './clusters.ts';
import type { RunCommands } from './run-commands.ts';
import { outcomeWord } from './outcome-word.ts';
import type { Submitted } from './submit-workspace.ts';
import type { WorkspaceRun } from './task-picker.ts';
import { WorkspacePaths } from './workspace-paths.ts';

export interface TaskTerminalOptions {
  readonly clusters: Clusters;
  readonly running: RunCommands;
  readonly run: WorkspaceRun;
}

/** The terminal of a task of VS Code that runs on the cluster: its log as it comes, bare, so that problem matchers understand it. */
export class TaskTerminal implements vscode.Pseudoterminal {
  readonly #options: TaskTerminalOptions;
  readonly #written = new vscode.EventEmitter<string>();
  readonly #closed = new vscode.EventEmitter<number>();
  readonly #closing = new AbortController();
  #id: string | undefined;
  #isOver = false;
  readonly onDidWrite = this.#written.event;
  readonly onDidClose = this.#closed.event;

  constructor(options: TaskTerminalOptions) {
    this.#options = options;
  }

  /** What is written before is lost: everything begins here. */
  open(): void {
    void this.#run().then(code => {
      this.#isOver = true;
      this.#closed.fire(code);
    });
  }

  /** Whoever closes the terminal, or ends the task, wants it gone. */
  close(): void {
    this.#closing.abort(new vscode.CancellationError());
    if (!this.#isOver && this.#id !== undefined) void this.#cancel(this.#id);
  }

  handleInput(text: string): void {
    if (text === '\u0003') this.close();
  }

  async #run(): Promise<number> {
    const { clusters, running, run } = this.#options;
    const signal = this.#closing.signal;
    try {
      const submitted = await running.submit(run, { say: text => this.#say(text), signal });
      if (!submitted) return EXIT.cancelled;
      this.#id = submitted.id;
      this.#say(l10n.t`task ${submitted.id}`);
      await using client = await clusters.connection.client();
      await this.#show(client, submitted, signal);
      const result = await resultOf(client, submitted.id, signal);
      this.#say(`${outcomeWord(result.outcome)}: ${result.message}`);
      this.#say(l10n.t`whole log: task ${submitted.id}`);
      return exitCodeOfOutcome(result.outcome);
    } catch (error) {
      if (signal.aborted) return EXIT.cancelled;
      this.#say(describeError(error));
      return EXIT.unavailable;
    }
  }

  async #show(client: Client, { id, root }: Submitted, signal: AbortSignal): Promise<void> {
    const text = new LogText({ timestamps: false, colors: true });
    const paths = new WorkspacePaths(root);
    for await (const event of client.log(id, { follow: true }, signal)) {
      if (event.kind === 'attempt') paths.begin(id, event, await isolationOf(client, event.node, signal));
      this.#write(paths.push(text.push(event)));
    }
    this.#write(paths.push(text.end()) + paths.end());
  }

  async #cancel(id: string): Promise<void> {
    try {
      await this.#options.clusters.connection.ask(l10n.t('Cannot cancel the task'), (client, signal) =>
        client.call('cancelTask', { params: { id } }, signal),
      );
    } catch {
      // The terminal is gone: the tree shows that the task goes on.
    }
  }

  /** Of our own, and recognisable as such. */
  #say(text: string): void {
    this.#write(`\u001b[2m[Simple CI] ${text}\u001b[0m\n`);
  }

  #write(text: string): void {
    if (text !== '') this.#written.fire(text.replaceAll('\n', '\r\n'));
  }
}

/** Where a task sees its workspace depends on it. Undefined for a node that has gone. */
async function isolationOf(client: Client, name: string, signal: AbortSignal): Promise<string | undefined> {
  // A path that is not translated is no reason to show nothing.
  const { nodes } = await client.call('listNodes', {}, signal).catch(() => ({ nodes: [] }));
  return nodes.find(({ node }) => node === name)?.isolation;
}

/** The log of a task ends a moment before its result is there. */
async function resultOf(client: Client, id: string, signal: AbortSignal): Promise<TaskResult> {
  for await (const update of client.watchTasks(signal)) {
    const known = update.kind === 'snapshot' ? update.tasks : update.kind === 'changed' ? [update.task] : [];
    const isFinished = known.some(task => task.id === id && task.state === 'finished');
    if (!isFinished && update.kind !== 'snapshot') continue;
    const view = await client.call('getTask', { params: { id } }, signal);
    if (view.state === 'finished') return view.result;
  }
  throw signal.reason;
}
