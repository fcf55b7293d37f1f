import { count, formatBytes } from '../shared/amounts.ts';
import type { TaskView } from '../shared/api.ts';
import { DEFAULT_PRIORITY } from '../shared/ids.ts';
import { type KnownStep, taskLife } from '../shared/task-page/task-life.ts';
import type { Fact, TaskPageContent } from '../shared/task-page/task-page-messages.ts';
import { panelTask } from './panel-task.ts';
import type { TaskDetails } from './task-details.ts';

export interface TaskPageKnowledge {
  readonly details: TaskDetails;
  /** Of the attempt under way. */
  readonly live: ReadonlyMap<number, KnownStep>;
  /** Why it waits, if that is known. */
  readonly why: string | undefined;
  readonly now: number;
}

/** All that the page of a task says. */
export function taskPageContent({ details, live, why, now }: TaskPageKnowledge): TaskPageContent {
  const { view, artifacts } = details;
  const { id, name, state, message, isFinished } = panelTask(view, why);
  const to = view.state === 'finished' ? view.result.times.finished : now;
  return {
    id,
    name,
    state,
    tone: toneOf(view),
    message,
    isFinished,
    hasLog: view.past.length > 0 || view.state === 'running' || (view.state === 'finished' && view.result.fence > 0),
    facts: factsOf(view),
    spans: taskLife(view, live),
    from: view.task.submitted,
    to: Math.max(to, view.task.submitted),
    artifacts: artifacts.map(({ path, size }) => ({ path, size: formatBytes(size) })),
  };
}

function toneOf(view: TaskView): TaskPageContent['tone'] {
  if (view.state === 'queued') return 'waiting';
  if (view.state === 'running') return 'running';
  return view.result.outcome === 'passed' ? 'passed' : 'failed';
}

function factsOf(view: TaskView): Fact[] {
  const { task } = view;
  const { labels = [], secrets = [], slots = 1, priority = DEFAULT_PRIORITY, cancelled } = task;
  return [
    { label: 'Submitted by', value: task.submitter },
    { label: 'Submitted', value: task.submitted },
    ...(view.state === 'finished' ? [{ label: 'Finished', value: view.result.times.finished }] : []),
    ...nodeFact(view),
    ...sourceFacts(view),
    ...(labels.length === 0 ? [] : [{ label: 'Labels', value: labels.join(', ') }]),
    ...(secrets.length === 0 ? [] : [{ label: 'Secrets', value: secrets.join(', ') }]),
    ...(slots === 1 ? [] : [{ label: 'Slots', value: String(slots) }]),
    ...(priority === DEFAULT_PRIORITY ? [] : [{ label: 'Priority', value: String(priority) }]),
    ...(cancelled === undefined ? [] : [{ label: 'Cancelled by', value: cancelled.by }]),
    ...logFact(view),
    { label: 'Task ID', value: view.id },
  ];
}

function nodeFact(view: TaskView): Fact[] {
  if (view.state === 'queued') return [];
  const node = view.state === 'running' ? view.node : view.result.fence === 0 ? '' : view.result.node;
  return node === '' ? [] : [{ label: 'Node', value: node }];
}

function sourceFacts(view: TaskView): Fact[] {
  const { source } = view.task;
  const commit = view.state === 'finished' ? view.result.commit : undefined;
  if (source?.type === 'git')
    return [
      { label: 'Repository', value: source.url },
      { label: 'Ref', value: source.ref },
      ...(commit === undefined ? [] : [{ label: 'Commit', value: commit }]),
    ];
  if (source?.type !== 'snapshot') return [];
  const branch = source.branch === undefined ? [] : [{ label: 'Branch', value: source.branch }];
  return [...branch, { label: 'Snapshot', value: source.commit }];
}

function logFact(view: TaskView): Fact[] {
  if (view.state !== 'finished' || view.result.log.bytes === 0) return [];
  const { bytes, lines } = view.result.log;
  return [{ label: 'Log', value: `${count(lines, 'line')}, ${formatBytes(bytes)}` }];
}
