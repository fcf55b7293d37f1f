import { attemptName, type Claimed, type Completed, type Violation } from './check-tape.ts';
import type { Blackout } from './rig.ts';
import type { Execution } from './witness.ts';

export interface ExecutionChecks {
  readonly executions: readonly Execution[];
  readonly claims: readonly Claimed[];
  readonly completed: ReadonlyMap<string, Completed>;
  readonly blackouts: readonly Blackout[];
}

export interface ExecutionStory {
  readonly violations: readonly Violation[];
  /** How long two attempts at one task ran at once, in milliseconds, each time that happened. */
  readonly overlaps: readonly number[];
  /** The same where node and supervisor of the earlier one were both stopped: nothing could have stopped its processes. */
  readonly blackoutOverlaps: readonly number[];
}

/** Silence for longer than this is not running: tasks tell of themselves every quarter of a second at least, when they can. */
const SILENCE_MS = 1500;
/** Two attempts may run at once for so long without its being held against the product. */
const OVERLAP_LIMIT_MS = 1000;

/** Holds what tasks did by their own word against what etcd says that they were allowed to. */
export function checkExecutions({ executions, claims, completed, blackouts }: ExecutionChecks): ExecutionStory {
  const violations: Violation[] = [];
  const report = (invariant: string, subject: string, text: string) => violations.push({ invariant, subject, text });
  const claimOf = new Map(claims.map(claim => [attemptName(claim), claim]));
  for (const execution of executions)
    if (!claimOf.has(attemptName(execution)))
      report('I6', execution.task, `it ran under fence ${execution.fence}, which is no claim of it`);
  const ended = new Set(executions.filter(({ saidEnd }) => saidEnd).map(attemptName));
  for (const winner of completed.values())
    if (winner.outcome === 'passed' && !ended.has(attemptName(winner)))
      report('I2', winner.task, `passed by fence ${winner.fence}, under which it never came to its end`);
  const overlaps: number[] = [];
  const blackoutOverlaps: number[] = [];
  for (const [earlier, later] of rivals(executions)) {
    const { dark, ms } = overlap(earlier, later, blackoutsOf(claimOf.get(attemptName(earlier)), blackouts));
    if (dark > 0) blackoutOverlaps.push(dark);
    if (ms > 0) overlaps.push(ms);
    if (ms > OVERLAP_LIMIT_MS)
      report('I6', later.task, `fences ${earlier.fence} and ${later.fence} ran at once for ${Math.round(ms)} ms`);
  }
  return { violations, overlaps, blackoutOverlaps };
}

/** Every two executions of one task, the one with the smaller fence first. */
function* rivals(executions: readonly Execution[]): Generator<[Execution, Execution]> {
  for (const some of Map.groupBy(executions, ({ task }) => task).values()) {
    const inOrder = some.toSorted((a, b) => a.fence - b.fence);
    for (const [at, earlier] of inOrder.entries()) for (const later of inOrder.slice(at + 1)) yield [earlier, later];
  }
}

function blackoutsOf(claim: Claimed | undefined, blackouts: readonly Blackout[]): readonly Span[] {
  return blackouts.filter(({ nodeId }) => nodeId === claim?.node).map(({ from, to }) => [from, to]);
}

type Span = readonly [from: number, to: number];

/** How long both ran, within those times and outside of them. */
function overlap(a: Execution, b: Execution, darkness: readonly Span[]): { dark: number; ms: number } {
  const both = spans(a).flatMap(one => spans(b).flatMap(other => common(one, other)));
  const dark = total(both.flatMap(span => darkness.flatMap(each => common(span, each))));
  return { dark, ms: total(both) - dark };
}

/** When it was running, by what it said. */
function spans({ startedAt, beats }: Execution): Span[] {
  const found: [number, number][] = [[startedAt, startedAt]];
  for (const { at } of beats) {
    const last = found.at(-1)!;
    if (at - last[1] <= SILENCE_MS) last[1] = at;
    else found.push([at, at]);
  }
  return found;
}

function common(a: Span, b: Span): Span[] {
  const [from, to] = [Math.max(a[0], b[0]), Math.min(a[1], b[1])];
  return from < to ? [[from, to]] : [];
}

function total(list: readonly Span[]): number {
  return list.reduce((sum, [from, to]) => sum + to - from, 0);
}
