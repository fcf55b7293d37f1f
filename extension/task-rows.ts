import * as l10n from '@vscode/l10n';
import { durationBetween, formatAge, formatBytes } from '../shared/amounts.ts';
import type { TaskSummary, TaskView } from '../shared/api.ts';
import { pastEndText } from '../shared/task-page/task-life.ts';
import type { Artifact, PastAttempt, StepResult } from '../shared/result.ts';
import { outcomeIcon, taskIcon } from './outcome-icon.ts';
import { outcomeWord, stateWord } from './outcome-word.ts';
import type { Row } from './row.ts';

/** Which tasks the tree shows. Conditions add up; none shows all. */
export interface TaskFilter {
  /** Submitted by this principal. */
  readonly submitter?: string;
  readonly onlyFailed: boolean;
  readonly onlyUnfinished: boolean;
  /** Sent from a workspace on one of these branches. */
  readonly branches?: readonly string[];
}

export const NO_FILTER: TaskFilter = { onlyFailed: false, onlyUnfinished: false };

/** More finished tasks than this are not shown: whoever looks for one has its name or id. */
const MOST_ROWS = 200;

/** What runs, then what waits, then what has finished, each with the newest first. */
export function taskRows(tasks: Iterable<TaskSummary>, filter: TaskFilter, now: number): Row[] {
  const shown = [...tasks].filter(task => passes(task, filter));
  return shown
    .sort((a, b) => rank(a) - rank(b) || timeOf(b) - timeOf(a))
    .slice(0, MOST_ROWS)
    .map(task => taskRow(task, now));
}

export function taskRow(task: TaskSummary, now: number): Row {
  const took = durationBetween(task.claimed, task.finished ?? (task.state === 'running' ? now : undefined));
  const parts = [
    ...(task.state === 'finished' && task.outcome === 'passed' ? [] : [stateWord(task)]),
    ...(took === undefined ? [] : [took]),
    ...(task.attempt !== undefined && task.attempt > 1 ? [l10n.t`attempt ${task.attempt}`] : []),
    ...(task.node !== undefined && task.state === 'running' ? [l10n.t`on ${task.node}`] : []),
    ...(task.finished === undefined ? [] : [ageText(task.finished, now)]),
  ];
  const description = parts.join(' · ');
  return {
    id: `task:${task.id}`,
    label: task.name,
    description,
    icon: taskIcon(task),
    kind: `task-${task.state}`,
    expandable: task.state !== 'queued',
    spoken: l10n.t('Task {0}, {1}', task.name, [stateWord(task), description].filter(Boolean).join(', ')),
    task: task.id,
  };
}

/** What is under a task: earlier attempts, then its steps, then what it kept. */
export function taskChildren(view: TaskView, artifacts: readonly Artifact[], now: number): Row[] {
  const past = view.past.map(attempt => attemptRow(view, attempt));
  if (view.state !== 'finished') {
    const current = view.state === 'running' ? [runningRow(view, now)] : [];
    return [...past, ...current];
  }
  const { steps, message, outcome } = view.result;
  const why = outcome === 'passed' ? [] : [noteRow(view.id, 'why', message)];
  return [
    ...past,
    ...why,
    ...steps.map((step, at) => stepRow(view.id, step, at)),
    ...artifacts.map(artifact => artifactRow(view.id, artifact)),
  ];
}

function attemptRow({ id }: TaskView, { attempt, node, end, message }: PastAttempt): Row {
  const how = pastEndText(end);
  const spoken = l10n.t`Attempt ${attempt} on ${node}, ${how}`;
  return {
    id: `task:${id}/attempt:${attempt}`,
    label: l10n.t`Attempt ${attempt}`,
    description: `${how} · ${l10n.t`on ${node}`}`,
    icon: { name: 'history', color: 'problemsWarningIcon.foreground' },
    kind: 'attempt',
    expandable: false,
    spoken: message === undefined ? spoken : `${spoken}: ${message}`,
    task: id,
    attempt,
  };
}

function runningRow(view: Extract<TaskView, { state: 'running' }>, now: number): Row {
  const { id, attempt, node, claimed } = view;
  const description = `${l10n.t`on ${node}`} · ${durationBetween(claimed, now)}`;
  return {
    id: `task:${id}/attempt:${attempt}`,
    label: l10n.t`Attempt ${attempt}`,
    description,
    icon: { name: 'vm-running', color: 'charts.blue' },
    kind: 'attempt',
    expandable: false,
    spoken: l10n.t`Attempt ${attempt}, running ${description}`,
    task: id,
    attempt,
  };
}

function stepRow(task: string, step: StepResult, at: number): Row {
  const took = durationBetween(step.started, step.finished);
  const exit = step.exitCode !== undefined && step.exitCode !== 0 ? [l10n.t`exit code ${step.exitCode}`] : [];
  const word = step.outcome === 'passed' ? [] : [outcomeWord(step.outcome)];
  const description = [...word, ...exit, ...(took === undefined ? [] : [took])].join(' · ');
  return {
    id: `task:${task}/step:${at}`,
    label: step.name,
    description,
    icon: outcomeIcon(step.outcome),
    kind: 'step',
    expandable: false,
    spoken: l10n.t(
      'Step {0}, {1}',
      at + 1,
      [step.name, outcomeWord(step.outcome), ...exit, took].filter(Boolean).join(', '),
    ),
    task,
  };
}

function artifactRow(task: string, { path, size }: Artifact): Row {
  return {
    id: `task:${task}/artifact:${path}`,
    label: path,
    description: formatBytes(size),
    icon: { name: 'file' },
    kind: 'artifact',
    expandable: false,
    spoken: l10n.t('Artifact {0}, {1}', path, formatBytes(size)),
    task,
    path,
  };
}

export function noteRow(task: string, name: string, text: string): Row {
  return {
    id: `task:${task}/${name}`,
    label: text,
    icon: { name: 'info' },
    kind: 'note',
    expandable: false,
    spoken: text,
    task,
  };
}

function passes(task: TaskSummary, { submitter, onlyFailed, onlyUnfinished, branches }: TaskFilter): boolean {
  if (submitter !== undefined && task.submitter !== submitter) return false;
  if (branches && (task.branch === undefined || !branches.includes(task.branch))) return false;
  const isUnfinished = task.state !== 'finished';
  const isFailed = !isUnfinished && task.outcome !== 'passed' && task.outcome !== 'cancelled';
  if (onlyFailed && onlyUnfinished) return isFailed || isUnfinished;
  return (!onlyFailed || isFailed) && (!onlyUnfinished || isUnfinished);
}

/** In minutes at the finest: a row that changes every second is hard to click on. */
function ageText(finished: number, now: number): string {
  return now - finished < 60_000 ? l10n.t('just now') : formatAge(finished, now);
}

function rank({ state }: TaskSummary): number {
  return ['running', 'queued', 'finished'].indexOf(state);
}

function timeOf({ finished, claimed, submitted }: TaskSummary): number {
  return finished ?? claimed ?? submitted;
}
