import * as l10n from '@vscode/l10n';
import type { TaskView } from '../api.ts';
import type { Outcome, PastAttempt, StepResult } from '../result.ts';
import { stepName } from '../step-name.ts';

/** How a part of a task’s life went, or goes. `done`: it is over, and there is nothing to say of it. */
export type SpanState = 'waiting' | 'running' | 'done' | 'passed' | 'failed' | 'stopped' | 'skipped' | 'lost';

/** A part of a task's life. Times are milliseconds since 1970, each by the clock of the node that wrote it. */
export interface LifeSpan {
  /** Stays the same while the part is the same. */
  readonly id: string;
  readonly label: string;
  /** What is to be said of it besides its state. */
  readonly note: string;
  /** 1: part of the attempt before it. */
  readonly level: 0 | 1;
  readonly state: SpanState;
  /** Absent: not begun. */
  readonly start?: number;
  /** Absent: not over. */
  readonly end?: number;
  /** Of an attempt whose end nobody saw: it was over by `end`. */
  readonly isEndGuessed?: boolean;
  readonly attempt?: number;
  /** Counted from 0. */
  readonly step?: number;
}

/** What is known of a step: nothing yet, what its marks in the log say, or its result. */
export interface KnownStep {
  readonly name: string;
  readonly started?: number | undefined;
  readonly finished?: number | undefined;
  readonly outcome?: StepResult['outcome'] | undefined;
  readonly exitCode?: number | undefined;
  readonly signal?: string | undefined;
}

/**
 * The life of a task: the queue, each attempt, and what the last of them did.
 * @param live what is known of the steps of the attempt under way, by their number
 */
export function taskLife(view: TaskView, live: ReadonlyMap<number, KnownStep>): LifeSpan[] {
  const current = currentAttempt(view);
  return [queueSpan(view, current), ...pastSpans(view, current), ...(current ? attemptSpans(view, current, live) : [])];
}

interface CurrentAttempt {
  readonly attempt: number;
  readonly node: string;
  readonly claimed: number;
}

/** The one under way, or the one that completed the task. */
function currentAttempt(view: TaskView): CurrentAttempt | undefined {
  if (view.state === 'running') return view;
  if (view.state !== 'finished') return undefined;
  const { fence, attempt, node, times } = view.result;
  return fence === 0 || times.claimed === undefined ? undefined : { attempt, node, claimed: times.claimed };
}

function queueSpan(view: TaskView, current: CurrentAttempt | undefined): LifeSpan {
  const end = view.past[0]?.claimed ?? current?.claimed ?? finishedOf(view);
  const isOver = end !== undefined;
  return {
    id: 'queued',
    label: l10n.t('In the queue'),
    note: '',
    level: 0,
    state: isOver ? 'done' : 'waiting',
    start: view.task.submitted,
    ...(isOver && { end }),
  };
}

/** How an attempt ended that was not the last. */
export function pastEndText(end: PastAttempt['end']): string {
  const texts: Readonly<Record<PastAttempt['end'], string>> = {
    lost: l10n.t('lost with its node'),
    drained: l10n.t('handed back'),
    infrastructure: l10n.t('given up'),
    crashed: l10n.t('crashed'),
  };
  return texts[end];
}

/** Of when they ended there is no record: at the latest when the next one began. */
function pastSpans(view: TaskView, current: CurrentAttempt | undefined): LifeSpan[] {
  return view.past.map(({ attempt, node, claimed, end: how, message }, at) => {
    const end = view.past[at + 1]?.claimed ?? current?.claimed ?? finishedOf(view);
    return {
      id: `attempt:${attempt}`,
      label: l10n.t`Attempt ${attempt} on ${node}`,
      note: message ?? pastEndText(how),
      level: 0,
      state: how === 'drained' ? 'stopped' : 'lost',
      start: claimed,
      isEndGuessed: true,
      ...(end !== undefined && { end }),
      attempt,
    };
  });
}

function attemptSpans(
  view: TaskView,
  { attempt, node, claimed }: CurrentAttempt,
  live: ReadonlyMap<number, KnownStep>,
): LifeSpan[] {
  const end = finishedOf(view);
  const steps = stepsOf(view, live);
  const whole: LifeSpan = {
    id: `attempt:${attempt}`,
    label: l10n.t`Attempt ${attempt} on ${node}`,
    note: '',
    level: 0,
    state: view.state === 'finished' ? stateOf(view.result.outcome) : 'running',
    start: claimed,
    ...(end !== undefined && { end }),
    attempt,
  };
  const parts = [
    preparation(claimed, steps[0]?.started, end),
    ...steps.map((step, at) => stepSpan(step, at, end !== undefined)),
    ...closing(view, steps, end),
  ];
  return [whole, ...parts.map((part): LifeSpan => ({ ...part, id: `${whole.id}/${part.id}`, level: 1, attempt }))];
}

type Part = Omit<LifeSpan, 'level' | 'attempt'>;

function preparation(start: number, firstStep: number | undefined, taskEnd: number | undefined): Part {
  const end = firstStep ?? taskEnd;
  const label = l10n.t('Prepare the files');
  if (end === undefined) return { id: 'prepare', label, note: '', state: 'running', start };
  return { id: 'prepare', label, note: '', state: firstStep === undefined ? 'failed' : 'done', start, end };
}

function stepSpan(step: KnownStep, at: number, isTaskOver: boolean): Part {
  const { name: label, outcome, exitCode, signal, started, finished } = step;
  const exit = exitCode !== undefined && exitCode !== 0 ? l10n.t`exit code ${exitCode}` : '';
  const pending = isTaskOver ? 'skipped' : started === undefined ? 'waiting' : 'running';
  return {
    id: `step:${at}`,
    label,
    note: exit || (signal === undefined ? '' : l10n.t`killed by ${signal}`),
    state: outcome === undefined ? pending : stateOf(outcome),
    ...(started !== undefined && { start: started }),
    ...(finished !== undefined && { end: finished }),
    step: at,
  };
}

/** After the last step: what the task keeps goes to the object store, and its end is recorded. */
function closing(view: TaskView, steps: readonly KnownStep[], end: number | undefined): Part[] {
  const isRunning = view.state === 'running';
  if (isRunning && steps.some(({ finished }) => finished === undefined)) return [];
  const start = Math.max(0, ...steps.map(({ finished = 0 }) => finished));
  if (start === 0) return [];
  const label = view.task.artifacts?.length ? l10n.t('Keep artifacts, and end') : l10n.t('End');
  const part = { id: 'end', label, note: '', start };
  return [end === undefined ? { ...part, state: 'running' } : { ...part, state: 'done', end }];
}

/** Recorded, or as they are now, or as they are to come. */
function stepsOf(view: TaskView, live: ReadonlyMap<number, KnownStep>): readonly KnownStep[] {
  if (view.state === 'finished') return view.result.steps;
  return view.task.steps.map((step, at) => live.get(at) ?? { name: stepName(step) });
}

function finishedOf(view: TaskView): number | undefined {
  return view.state === 'finished' ? view.result.times.finished : undefined;
}

function stateOf(outcome: Outcome | StepResult['outcome']): SpanState {
  switch (outcome) {
    case 'passed':
    case 'skipped':
      return outcome;
    case 'cancelled':
      return 'stopped';
    case 'infrastructure-lost':
    case 'dead-lettered':
      return 'lost';
    default:
      return 'failed';
  }
}
