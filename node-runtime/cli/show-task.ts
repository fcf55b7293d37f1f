import type { TaskView } from '../../shared/api.ts';
import { count, durationBetween, formatAge, formatBytes } from '../../shared/amounts.ts';
import type { ConnectionOptions } from './common-options.ts';
import { type Connection, connect } from './connect.ts';
import type { CliContext } from './context.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { findTaskId } from './find-task-id.ts';
import { viewStateText } from './outcome-text.ts';
import type { Style } from './style.ts';
import { plainText } from './text-width.ts';

export async function showTask(
  context: CliContext,
  word: string,
  options: ConnectionOptions & { readonly json: boolean },
): Promise<ExitCode> {
  await using connection = await connect(context, options);
  const { terminal, signal, clock } = context;
  const id = await findTaskId(connection.client, word, signal);
  const view = await connection.client.call('getTask', { params: { id } }, signal);
  if (options.json) terminal.print(JSON.stringify(view));
  else for (const line of describeTask(view, clock.now(), terminal.style, connection)) terminal.print(line);
  return EXIT.passed;
}

/** A task on a screen. */
function describeTask(view: TaskView, now: number, style: Style, { hint }: Pick<Connection, 'hint'>): string[] {
  const field = (name: string, value: string | undefined) => (value ? [`${style.dim(name.padEnd(10))} ${value}`] : []);
  return [
    `${viewStateText(view, style)}  ${style.bold(plainText(view.task.name))}`,
    ...field('', view.state === 'finished' ? plainText(view.result.message) : undefined),
    ...field('id', view.id),
    ...field('submitted', `${formatAge(view.task.submitted, now)} by ${plainText(view.task.submitter)}`),
    ...field('source', describeSource(view)),
    ...field('runs on', describePlace(view, now)),
    ...field('artifacts', describeArtifacts(view)),
    ...attemptLines(view, style),
    ...stepLines(view, style),
    '',
    style.dim(`Log: ${hint(`logs ${view.id}${view.state === 'finished' ? '' : ' -f'}`)}`),
  ];
}

function describeSource({ task: { source }, ...view }: TaskView): string {
  if (source?.type === 'git') return plainText(`${source.url} ${source.ref}`);
  const commit = 'result' in view ? view.result.commit : undefined;
  if (source?.type === 'snapshot') return `workspace snapshot ${(commit ?? source.commit).slice(0, 12)}`;
  return 'none';
}

function describePlace(view: TaskView, now: number): string | undefined {
  if (view.state === 'queued') return undefined;
  if (view.state === 'running') {
    return `${view.node}, attempt ${view.attempt}, since ${formatAge(view.claimed, now)}`;
  }
  const { node, attempt, times } = view.result;
  const took = durationBetween(times.claimed, times.finished);
  // A task that ended without a holder was on no node at its end: where its attempts were is told below.
  return node === '' ? undefined : `${node}, attempt ${attempt}${took ? `, for ${took}` : ''}`;
}

function describeArtifacts(view: TaskView): string | undefined {
  if (view.state !== 'finished' || view.result.artifacts.count === 0) return undefined;
  const { count: files, bytes } = view.result.artifacts;
  return `${count(files, 'file')}, ${formatBytes(bytes)}`;
}

function attemptLines({ past }: TaskView, style: Style): string[] {
  if (past.length === 0) return [];
  return [
    '',
    style.bold('Earlier attempts'),
    ...past.map(({ attempt, node, end, message }) => {
      return `  ${attempt}. on ${node}: ${end}${message ? ` (${plainText(message)})` : ''}`;
    }),
  ];
}

function stepLines(view: TaskView, style: Style): string[] {
  if (view.state !== 'finished' || view.result.steps.length === 0) return [];
  return [
    '',
    style.bold('Steps'),
    ...view.result.steps.map(({ name, outcome, exitCode, signal, started, finished }) => {
      const sign = outcome === 'passed' ? style.green('✓') : outcome === 'skipped' ? style.dim('-') : style.red('✗');
      const code = exitCode ? ` with exit code ${exitCode}` : signal ? ` by ${signal}` : '';
      const took = durationBetween(started, finished);
      return `  ${sign} ${plainText(name)}: ${outcome}${code}${took ? style.dim(` (${took})`) : ''}`;
    }),
  ];
}
