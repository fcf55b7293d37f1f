import { nearest } from '../nearest.ts';
import { Step } from '../task.ts';
import type { Path } from './problem.ts';
import { TaskEntry, TaskFile } from './task-file-schema.ts';

export interface UnknownKey {
  readonly path: Path;
  readonly suggestion: string | undefined;
  /** It says something of a step, and stands beside the steps. */
  readonly isOfSteps: boolean;
}

const FILE_KEYS = Object.keys(TaskFile.shape);
const TASK_KEYS = Object.keys(TaskEntry.shape);
const STEP_KEYS = Object.keys(Step.shape);
const ATTEMPT_KEYS = ['crashed', 'lost'];
const NONE: readonly string[] = [];

/** Keys of a task file, valid or not, that mean nothing to this release: slips, or words of a newer one. `x-` keys are the user's own. */
export function unknownKeys(file: unknown): UnknownKey[] {
  const tasks = entriesOf(childOf(file, 'tasks'));
  return [...unknownIn([], file, FILE_KEYS), ...tasks.flatMap(([name, task]) => unknownInTask(['tasks', name], task))];
}

function unknownInTask(path: Path, task: unknown): UnknownKey[] {
  const steps = Array.isArray(task) ? task : childOf(task, 'steps');
  const stepsPath = Array.isArray(task) ? path : [...path, 'steps'];
  return [
    ...unknownIn(path, task, TASK_KEYS, STEP_KEYS),
    ...unknownIn([...path, 'attempts'], childOf(task, 'attempts'), ATTEMPT_KEYS),
    ...(Array.isArray(steps) ? steps.flatMap((step, index) => unknownIn([...stepsPath, index], step, STEP_KEYS)) : []),
  ];
}

function unknownIn(path: Path, value: unknown, known: readonly string[], ofSteps = NONE): UnknownKey[] {
  return entriesOf(value)
    .filter(([key]) => !known.includes(key) && !key.startsWith('x-'))
    .map(([key]) => {
      const isOfSteps = ofSteps.includes(key);
      return { path: [...path, key], suggestion: isOfSteps ? undefined : nearest(key, known), isOfSteps };
    });
}

function entriesOf(value: unknown): [string, unknown][] {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.entries(value) : [];
}

function childOf(value: unknown, key: string): unknown {
  return entriesOf(value).find(([name]) => name === key)?.[1];
}
