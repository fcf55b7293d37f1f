import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import type { AgentHost, AgentSubmission, AgentTask } from '../../shared/agents/agent-host.ts';
import { count, formatBytes } from '../../shared/amounts.ts';
import { newTaskId } from '../../shared/ids.ts';
import { DEFAULT_PRIORITY, type TaskBody } from '../../shared/task.ts';
import { taskOfCommand } from '../workspace/command-task.ts';
import { findTask, listTasks } from '../workspace/find-task.ts';
import { findWorkspace, type Workspace } from '../workspace/find-workspace.ts';
import type { ConnectionOptions } from './common-options.ts';
import { type Connection, connect } from './connect.ts';
import type { CliContext } from './context.ts';
import { withOwnPath } from './own-path.ts';
import { beginSnapshot, sendWorkspace } from './send-workspace.ts';
import { type TaskOptions, withOptions } from './task-options.ts';

/** Nobody is there to ask: what would be asked about is refused. */
const SEND = { 'allow-secrets': false, yes: false, json: false } as const;

export type AgentOptions = ConnectionOptions & TaskOptions & { readonly dir: string };

/**
 * A workspace and a cluster for an agent. It is connected when the first tool is used, and stays so: an embedded node ends, with what it
 * runs, when the session does.
 */
export class AgentSession implements AsyncDisposable {
  readonly #context: CliContext;
  readonly #options: AgentOptions;
  /** What an embedded node may run, of all that lies in this machine's store. */
  readonly #own = new Set<string>();
  #connecting: Promise<Connection> | undefined;

  constructor(context: CliContext, options: AgentOptions) {
    this.#context = context;
    this.#options = options;
  }

  async host(): Promise<AgentHost> {
    const connection = await this.#connect();
    const { clock, signal } = this.#context;
    // Nodes come and go while an agent works.
    await connection.learnNodes(signal);
    return {
      client: connection.client,
      submit: (task, signal) => this.#submit(connection, task, signal),
      taskNames: async () => (await listTasks(await this.#workspace())).map(({ name }) => name),
      now: () => clock.now(),
      sleep: (ms, signal) => clock.sleep(ms, signal),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const connection = await this.#connecting?.catch(() => undefined);
    await connection?.[Symbol.asyncDispose]();
  }

  /** What failed is tried again by the next tool. */
  async #connect(): Promise<Connection> {
    const accepts = (id: string) => this.#own.has(id);
    const work = { slots: availableParallelism(), labels: [], accepts };
    this.#connecting ??= connect(this.#context, this.#options, work);
    try {
      return await this.#connecting;
    } catch (error) {
      this.#connecting = undefined;
      throw error;
    }
  }

  async #submit(connection: Connection, wanted: AgentTask, signal: AbortSignal): Promise<AgentSubmission> {
    const context = { ...this.#context, signal };
    const { environment, clock, chance } = context;
    const workspace = await this.#workspace();
    const task = withOptions(await bodyOf(workspace, wanted), this.#options, environment.variables);
    await using pending = beginSnapshot(context, workspace);
    const source = await sendWorkspace(context, connection.client, workspace, pending, SEND);
    const id = newTaskId(task.priority ?? DEFAULT_PRIORITY, clock.now(), () => chance.random());
    this.#own.add(id);
    const here = connection.isEmbedded ? withOwnPath(task, environment.variables.PATH) : task;
    await connection.client.call('submitTask', { body: { id, task: { ...here, source } } }, signal);
    const { files, bytes } = await pending.taken;
    return { id, sent: `It ran on ${count(files, 'file')} of the workspace, ${formatBytes(bytes)}.` };
  }

  #workspace(): Promise<Workspace> {
    return findWorkspace(resolve(this.#context.environment.folder, this.#options.dir));
  }
}

async function bodyOf(workspace: Workspace, wanted: AgentTask): Promise<TaskBody> {
  if (wanted.kind === 'named') return findTask(workspace, wanted.name);
  return taskOfCommand(['sh', '-c', wanted.command], workspace.subdirectory);
}
