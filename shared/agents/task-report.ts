import { count, durationBetween, formatAge, formatBytes } from '../amounts.ts';
import type { TaskSummary, TaskView } from '../api.ts';
import { plainLine } from '../log-model/ansi.ts';
import type { StepResult } from '../result.ts';

/** How a task stands, in plain lines. */
export function describeTask(view: TaskView, now: number): string[] {
  return [
    `Task ${plainLine(view.task.name)} (id ${view.id}) ${stateOf(view, now)}`,
    ...pastOf(view),
    ...stepsOf(view),
    ...keptBy(view),
  ];
}

/** A task in one line. */
export function taskLine({ id, name, state, outcome, message, finished }: TaskSummary, now: number): string {
  const how = state === 'finished' ? `${words(outcome ?? 'finished')} ${formatAge(finished ?? now, now)}` : state;
  const why = message === undefined || outcome === 'passed' ? '' : `: ${plainLine(message)}`;
  return `${id} ${plainLine(name)}: ${how}${why}`;
}

function stateOf(view: TaskView, now: number): string {
  switch (view.state) {
    case 'queued':
      return 'is queued.';
    case 'running':
      return `runs on ${view.node}, attempt ${view.attempt}, for ${durationBetween(view.claimed, now)}.`;
    case 'finished': {
      const { outcome, message, node, times } = view.result;
      const took = durationBetween(times.claimed, times.finished);
      const place = node === '' ? '' : ` on ${node}${took === undefined ? '' : ` after ${took}`}`;
      return `${words(outcome)}${place}${outcome === 'passed' ? '.' : `: ${plainLine(message)}`}`;
    }
  }
}

function pastOf({ past }: TaskView): string[] {
  return past.map(({ attempt, node, end }) => `Attempt ${attempt} on ${node} ended: ${words(end)}`);
}

function stepsOf(view: TaskView): string[] {
  if (view.state !== 'finished' || view.result.steps.length === 0) return [];
  return ['Steps:', ...view.result.steps.map(step => `- ${stepLine(step)}`)];
}

function stepLine({ name, outcome, exitCode, signal, started, finished }: StepResult): string {
  const took = durationBetween(started, finished);
  const code = exitCode ? ` with exit code ${exitCode}` : signal ? ` by ${signal}` : '';
  return `${plainLine(name)}: ${words(outcome)}${code}${took === undefined ? '' : `, ${took}`}`;
}

function keptBy(view: TaskView): string[] {
  if (view.state !== 'finished' || view.result.artifacts.count === 0) return [];
  const { count: files, bytes } = view.result.artifacts;
  return [`It kept ${count(files, 'file')}, ${formatBytes(bytes)}.`];
}

function words(word: string): string {
  return word.replaceAll('-', ' ');
}
