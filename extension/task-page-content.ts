import * as l10n from '@vscode/l10n';
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
  const { id, name, state, tone, message, isFinished } = panelTask(view, why);
  const to = view.state === 'finished' ? view.result.times.finished : now;
  return {
    id,
    name,
    state,
    tone,
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

function factsOf(view: TaskView): Fact[] {
  const { task } = view;
  const { labels = [], secrets = [], slots = 1, priority = DEFAULT_PRIORITY, cancelled } = task;
  return [
    { label: l10n.t('Submitted by'), value: task.submitter },
    { label: l10n.t('Submitted'), value: task.submitted },
    ...(view.state === 'finished' ? [{ label: l10n.t('Finished'), value: view.result.times.finished }] : []),
    ...nodeFact(view),
    ...sourceFacts(view),
    ...(labels.length === 0 ? [] : [{ label: l10n.t('Labels'), value: labels.join(', ') }]),
    ...(secrets.length === 0 ? [] : [{ label: l10n.t('Secrets'), value: secrets.join(', ') }]),
    ...(slots === 1 ? [] : [{ label: l10n.t('Slots'), value: String(slots) }]),
    ...(priority === DEFAULT_PRIORITY ? [] : [{ label: l10n.t('Priority'), value: String(priority) }]),
    ...(cancelled === undefined ? [] : [{ label: l10n.t('Cancelled by'), value: cancelled.by }]),
    ...logFact(view),
    { label: l10n.t('Task ID'), value: view.id },
  ];
}

function nodeFact(view: TaskView): Fact[] {
  if (view.state === 'queued') return [];
  const node = view.state === 'running' ? view.node : view.result.fence === 0 ? '' : view.result.node;
  return node === '' ? [] : [{ label: l10n.t('Node'), value: node }];
}

function sourceFacts(view: TaskView): Fact[] {
  const { source } = view.task;
  const commit = view.state === 'finished' ? view.result.commit : undefined;
  if (source?.type === 'git')
    return [
      { label: l10n.t('Repository'), value: source.url },
      { label: l10n.t('Ref'), value: source.ref },
      ...(commit === undefined ? [] : [{ label: l10n.t('Commit'), value: commit }]),
    ];
  if (source?.type !== 'snapshot') return [];
  const branch = source.branch === undefined ? [] : [{ label: l10n.t('Branch'), value: source.branch }];
  return [...branch, { label: l10n.t('Snapshot'), value: source.commit }];
}

function logFact(view: TaskView): Fact[] {
  if (view.state !== 'finished' || view.result.log.bytes === 0) return [];
  const { bytes, lines } = view.result.log;
  return [{ label: l10n.t('Log'), value: `${count(lines, l10n.t('line'), l10n.t('lines'))}, ${formatBytes(bytes)}` }];
}
