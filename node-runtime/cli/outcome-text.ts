import type { TaskSummary, TaskView } from '../../shared/api.ts';
import type { Outcome } from '../../shared/result.ts';
import type { Style } from './style.ts';

/** `✓ passed`, `✗ failed`, `• running`: a sign and a word, so that neither colour nor sign is needed to understand it. */
export function outcomeText(outcome: Outcome, style: Style): string {
  const word = outcome.replaceAll('-', ' ');
  switch (outcome) {
    case 'passed':
      return style.green(`✓ ${word}`);
    case 'cancelled':
      return style.yellow(`■ ${word}`);
    case 'infrastructure-lost':
    case 'dead-lettered':
      return style.yellow(`! ${word}`);
    case 'failed':
    case 'crashed':
    case 'timed-out':
    case 'idle-timed-out':
    case 'invalid':
      return style.red(`✗ ${word}`);
  }
}

export function stateText(task: TaskSummary, style: Style): string {
  if (task.state === 'finished') return task.outcome ? outcomeText(task.outcome, style) : '• finished';
  if (task.cancelling) return style.yellow('■ cancelling');
  return task.state === 'running' ? style.cyan('• running') : style.dim('… queued');
}

export function viewStateText(view: TaskView, style: Style): string {
  if (view.state === 'finished') return outcomeText(view.result.outcome, style);
  if (view.task.cancelled) return style.yellow('■ cancelling');
  return view.state === 'running' ? style.cyan('• running') : style.dim('… queued');
}
