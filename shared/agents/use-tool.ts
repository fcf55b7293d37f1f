import type { z } from 'zod';
import type { TaskView } from '../api.ts';
import { describeIssue } from '../describe-issue.ts';
import { CiError } from '../errors.ts';
import { explainQueue } from '../explain-queue.ts';
import { parseTaskId, type TaskId } from '../ids.ts';
import type { AgentHost, AgentTask } from './agent-host.ts';
import { type AgentToolName, FailureLogInput, RunInput, StatusInput } from './agent-tools.ts';
import { failureLog } from './failure-log.ts';
import { describeTask, taskLine } from './task-report.ts';

/** How many tasks the status without an id tells of. */
const NEWEST = 10;
/** How many lines of a failure come with the outcome. */
const LINES_WITH_OUTCOME = 60;
/** A task that is not wanted any more is cancelled, whatever becomes of the call. Milliseconds. */
const CANCEL_MS = 10_000;

/**
 * What one of the tools answers, for a model to read. Rejects with a CiError where the call cannot be served; that a task failed is an
 * answer. Whoever gives up a `run` cancels its task.
 */
export async function useTool(
  name: AgentToolName,
  input: unknown,
  host: AgentHost,
  signal: AbortSignal,
): Promise<string> {
  switch (name) {
    case 'run':
      return run(checked(name, RunInput, input), host, signal);
    case 'status':
      return status(checked(name, StatusInput, input), host, signal);
    case 'failure_log':
      return failureOf(checked(name, FailureLogInput, input), host, signal);
  }
}

async function run(
  { wait, ...wanted }: z.infer<typeof RunInput>,
  host: AgentHost,
  signal: AbortSignal,
): Promise<string> {
  const { id, sent } = await host.submit(taskOf(wanted), signal);
  try {
    const view = await taskAfter(parseTaskId(id), wait, host, signal);
    return [...(await report(view, host, signal)), sent].join('\n');
  } catch (error) {
    if (signal.aborted) await cancel(id, host);
    throw error;
  }
}

async function status(
  { id, wait }: z.infer<typeof StatusInput>,
  host: AgentHost,
  signal: AbortSignal,
): Promise<string> {
  if (id === undefined) return overview(host, signal);
  return (await report(await taskAfter(parseTaskId(id), wait, host, signal), host, signal)).join('\n');
}

async function failureOf(
  { id, lines }: z.infer<typeof FailureLogInput>,
  host: AgentHost,
  signal: AbortSignal,
): Promise<string> {
  const task = id === undefined ? await newestFailure(host, signal) : parseTaskId(id);
  const view = await host.client.call('getTask', { params: { id: task } }, signal);
  return [...describeTask(view, host.now()), ...(await failureLog(host.client, view, lines, signal))].join('\n');
}

/** How a task stands, with the end of its log if it has failed. */
async function report(view: TaskView, host: AgentHost, signal: AbortSignal): Promise<string[]> {
  const lines = describeTask(view, host.now());
  if (view.state === 'queued') lines.push(`It waits: ${await whyQueued(view, host, signal)}.`);
  if (view.state !== 'finished') lines.push(`To wait for its end, ask for the status of ${view.id}.`);
  if (view.state !== 'finished' || view.result.outcome === 'passed' || view.result.fence === 0) return lines;
  return [...lines, ...(await failureLog(host.client, view, LINES_WITH_OUTCOME, signal))];
}

/** The task when it has ended, or when so many seconds have passed. */
async function taskAfter(id: TaskId, seconds: number, host: AgentHost, signal: AbortSignal): Promise<TaskView> {
  if (seconds > 0) await waitForEnd(id, seconds * 1000, host, signal);
  return host.client.call('getTask', { params: { id } }, signal);
}

async function waitForEnd(id: TaskId, ms: number, host: AgentHost, signal: AbortSignal): Promise<void> {
  const over = new AbortController();
  const either = AbortSignal.any([signal, over.signal]);
  const end = () => over.abort(new Error('The wait is over'));
  const limit = host.sleep(ms, either).then(end, end);
  try {
    await untilFinished(id, host, either);
  } catch (error) {
    if (signal.aborted || !over.signal.aborted) throw error;
  } finally {
    end();
    await limit;
  }
}

async function untilFinished(id: TaskId, { client }: AgentHost, signal: AbortSignal): Promise<void> {
  for await (const update of client.watchTasks(signal)) {
    if (update.kind === 'changed' && (update.task.id !== id || update.task.state !== 'finished')) continue;
    const { state } = await client.call('getTask', { params: { id } }, signal);
    if (state === 'finished') return;
  }
}

async function overview(host: AgentHost, signal: AbortSignal): Promise<string> {
  const { tasks } = await host.client.call('listTasks', { query: { limit: NEWEST } }, signal);
  const { nodes } = await host.client.call('listNodes', {}, signal);
  const names = await host.taskNames(signal);
  return [
    `Tasks that this workspace has: ${names.length === 0 ? 'none; any command can be run' : names.join(', ')}`,
    `Nodes: ${nodes.length}`,
    tasks.length === 0 ? 'No task has been run.' : 'Tasks of the cluster, queued ones first, then the newest:',
    ...tasks.map(task => `- ${taskLine(task, host.now())}`),
  ].join('\n');
}

async function newestFailure({ client }: AgentHost, signal: AbortSignal): Promise<string> {
  const { tasks } = await client.call('listTasks', { query: { state: 'finished', limit: 200 } }, signal);
  const found = tasks.find(({ outcome }) => outcome !== 'passed' && outcome !== 'cancelled');
  if (found) return found.id;
  throw new CiError('not-found', 'Cannot give the log of a failure as none of the newest tasks has failed');
}

async function whyQueued(view: TaskView, { client }: AgentHost, signal: AbortSignal): Promise<string> {
  const { tasks } = await client.call('listTasks', { query: { state: 'queued', limit: 1000 } }, signal);
  const { nodes } = await client.call('listNodes', {}, signal);
  return explainQueue(view.id as TaskId, view.task, tasks, nodes).text;
}

async function cancel(id: string, { client }: AgentHost): Promise<void> {
  await client.call('cancelTask', { params: { id } }, AbortSignal.timeout(CANCEL_MS)).catch(() => undefined);
}

function taskOf({ task, command }: { task?: string | undefined; command?: string | undefined }): AgentTask {
  if (task !== undefined && command === undefined) return { kind: 'named', name: task };
  if (command !== undefined && task === undefined) return { kind: 'command', command };
  throw new CiError('invalid', 'Cannot run as it must be said what: either a task or a command');
}

function checked<T>(name: AgentToolName, schema: z.ZodType<T>, input: unknown): T {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const part = issue.path.join('.') || 'its input';
  throw new CiError('invalid', `Cannot use tool ${name} as ${part} ${describeIssue(issue, input)}`);
}
