import type { TaskSummary } from '../shared/api.ts';
import type { Outcome, StepResult } from '../shared/result.ts';
import type { RowIcon } from './row.ts';

const PASSED: RowIcon = { name: 'pass', color: 'testing.iconPassed' };
const FAILED: RowIcon = { name: 'error', color: 'testing.iconFailed' };
const STOPPED: RowIcon = { name: 'circle-slash', color: 'testing.iconSkipped' };
const LOST: RowIcon = { name: 'warning', color: 'problemsWarningIcon.foreground' };
const RUNNING: RowIcon = { name: 'loading~spin', color: 'charts.blue' };
const QUEUED: RowIcon = { name: 'clock', color: 'testing.iconQueued' };

export function taskIcon(task: Pick<TaskSummary, 'state' | 'outcome'>): RowIcon {
  if (task.state === 'queued') return QUEUED;
  if (task.state === 'running') return RUNNING;
  return outcomeIcon(task.outcome);
}

export function outcomeIcon(outcome: Outcome | StepResult['outcome'] | undefined): RowIcon {
  switch (outcome) {
    case 'passed':
      return PASSED;
    case 'cancelled':
    case 'skipped':
    case undefined:
      return STOPPED;
    case 'infrastructure-lost':
    case 'dead-lettered':
      return LOST;
    default:
      return FAILED;
  }
}
