import * as l10n from '@vscode/l10n';
import type { TaskSummary, TaskView } from '../shared/api.ts';
import type { PanelTask } from '../shared/log-model/panel-messages.ts';
import { pastEndText } from '../shared/task-page/task-life.ts';
import type { TaskTone } from '../shared/task-tone.ts';
import { stateWord } from './outcome-word.ts';

/** What the log panel says of a task. */
export function panelTask(view: TaskView, why: string | undefined): PanelTask {
  return {
    id: view.id,
    name: view.task.name,
    state: stateWord(summaryOf(view)),
    tone: toneOf(view),
    message: messageOf(view, why),
    isFinished: view.state === 'finished',
    attempts: attemptsOf(view),
    pastEnds: Object.fromEntries(view.past.map(({ attempt, end }) => [attempt, pastEndText(end)])),
  };
}

function toneOf(view: TaskView): TaskTone {
  if (view.state === 'queued') return 'waiting';
  if (view.state === 'running') return 'running';
  const { outcome } = view.result;
  return outcome === 'passed' || outcome === 'cancelled' ? outcome : 'failed';
}

/** All attempts at the task so far, by number. */
export function attemptsOf(view: TaskView): number[] {
  const past = view.past.map(({ attempt }) => attempt);
  const current = view.state === 'running' ? view.attempt : view.state === 'finished' ? view.result.attempt : 0;
  return [...new Set([...past, current])].filter(attempt => attempt > 0);
}

function messageOf(view: TaskView, why: string | undefined): string {
  switch (view.state) {
    case 'queued':
      return why === undefined ? l10n.t('Waits for a node.') : l10n.t`Waits: ${why}.`;
    case 'running':
      return view.attempt > 1 ? l10n.t`On ${view.node}, attempt ${view.attempt}` : l10n.t`On ${view.node}`;
    case 'finished':
      return view.result.outcome === 'passed' ? l10n.t`On ${view.result.node}` : view.result.message;
  }
}

function summaryOf(view: TaskView): Pick<TaskSummary, 'state' | 'outcome' | 'cancelling'> {
  if (view.state === 'finished') return { state: 'finished', outcome: view.result.outcome };
  return { state: view.state, cancelling: view.task.cancelled !== undefined };
}
