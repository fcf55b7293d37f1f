import { createHash } from 'node:crypto';
import type { TaskId } from '../../shared/ids.ts';
import type { Outcome, PastAttempt, StepResult, TaskResult } from '../../shared/result.ts';
import type { Span } from '../system/span.ts';

/** What OpenTelemetry calls our outcomes: https://opentelemetry.io/docs/specs/semconv/registry/attributes/cicd/ */
const RESULTS: Readonly<Record<Outcome, string>> = {
  passed: 'success',
  failed: 'failure',
  'timed-out': 'timeout',
  'idle-timed-out': 'timeout',
  cancelled: 'cancellation',
  'infrastructure-lost': 'error',
  crashed: 'error',
  'dead-lettered': 'error',
  invalid: 'error',
};

/**
 * The life of a finished task as a trace: how long it was queued, each attempt at it, and of the last one the files, the steps and the
 * storing. Its ids follow from those of the task and the attempts, so who knows the task's id finds the trace: it is the first
 * half of the id's SHA-256.
 */
export function taskTrace(id: TaskId, cluster: string, result: TaskResult): Span[] {
  const { times, past, task, outcome, message } = result;
  const trace = traceOf(id);
  const root = spanOf(id, 'task');
  const span = (key: string, parent: string, rest: Omit<Span, 'trace' | 'id' | 'parent'>): Span => ({
    trace,
    id: spanOf(id, key),
    parent,
    ...rest,
  });
  const firstClaim = past[0]?.claimed ?? times.claimed ?? times.finished;
  return [
    {
      trace,
      id: root,
      name: `task ${task.name}`,
      start: times.submitted,
      end: Math.max(times.submitted, times.finished),
      attributes: {
        'cicd.pipeline.task.name': task.name,
        'cicd.pipeline.task.run.id': id,
        'cicd.pipeline.task.run.result': RESULTS[outcome],
        'simple_ci.cluster': cluster,
        'simple_ci.outcome': outcome,
        'simple_ci.submitter': task.submitter,
        'simple_ci.attempts': result.attempt,
      },
      ...(outcome !== 'passed' && { failure: message }),
    },
    span('queued', root, { name: 'queued', ...stretch(times.submitted, firstClaim), attributes: {} }),
    ...past.map((one, i) => pastAttempt(one, past[i + 1]?.claimed ?? times.claimed ?? times.finished, span, root)),
    ...lastAttempt(id, result, span, root),
  ];
}

type MakeSpan = (key: string, parent: string, rest: Omit<Span, 'trace' | 'id' | 'parent'>) => Span;

/** When an attempt ended that was lost is known by nobody: the next one began after it. */
function pastAttempt(one: PastAttempt, nextClaimed: number, span: MakeSpan, root: string): Span {
  const { attempt, fence, node, claimed, end, message } = one;
  return span(`attempt ${fence}`, root, {
    name: `attempt ${attempt}`,
    ...stretch(claimed, nextClaimed),
    attributes: { 'simple_ci.node': node, 'simple_ci.fence': fence, 'simple_ci.end': end },
    failure: message ?? end,
  });
}

function lastAttempt(id: TaskId, result: TaskResult, span: MakeSpan, root: string): Span[] {
  const { times, attempt, fence, node, steps, outcome, message, log } = result;
  if (times.claimed === undefined) return [];
  const key = `attempt ${fence}`;
  const parent = spanOf(id, key);
  const lastStep = Math.max(...steps.map(step => step.finished ?? 0), times.started ?? times.claimed);
  return [
    span(key, root, {
      name: `attempt ${attempt}`,
      ...stretch(times.claimed, times.finished),
      attributes: { 'simple_ci.node': node, 'simple_ci.fence': fence, 'simple_ci.log.bytes': log.bytes },
      ...(outcome !== 'passed' && { failure: message }),
    }),
    span(`${key} prepare`, parent, {
      name: 'prepare files',
      ...stretch(times.claimed, times.started ?? times.finished),
      attributes: {},
    }),
    ...steps.flatMap((step, i) => stepSpan(step, i, key, parent, span)),
    span(`${key} store`, parent, {
      name: 'store log and artifacts',
      ...stretch(lastStep, times.finished),
      attributes: { 'simple_ci.artifacts': result.artifacts.count },
    }),
  ];
}

function stepSpan(step: StepResult, index: number, key: string, parent: string, span: MakeSpan): Span[] {
  const { name, outcome, started, finished, exitCode, signal } = step;
  if (started === undefined || finished === undefined) return [];
  return [
    span(`${key} step ${index}`, parent, {
      name: `step ${name}`,
      ...stretch(started, finished),
      attributes: {
        'simple_ci.outcome': outcome,
        ...(exitCode !== undefined && { 'process.exit.code': exitCode }),
        ...(signal !== undefined && { 'simple_ci.signal': signal }),
      },
      ...(outcome !== 'passed' && { failure: outcome }),
    }),
  ];
}

/** The clocks of two nodes may differ: no span ends before it starts. */
function stretch(start: number, end: number): { readonly start: number; readonly end: number } {
  return { start, end: Math.max(start, end) };
}

function traceOf(id: TaskId): string {
  return createHash('sha256').update(id).digest('hex').slice(0, 32);
}

function spanOf(id: TaskId, key: string): string {
  return createHash('sha256').update(`${id} ${key}`).digest('hex').slice(0, 16);
}
