import { newTaskId, type TaskId } from '../../shared/ids.ts';
import type { TaskSpec } from '../../shared/task.ts';
import type { SeededChance } from './seeded-chance.ts';
import { SECRET_NAME, type TaskProgram } from './task-program.ts';

/** A task that somebody will submit, and what they will do about it. */
export interface PlannedTask {
  readonly submitAt: number;
  readonly spec: TaskSpec;
  readonly program: TaskProgram;
  /** How long after its submission somebody cancels it. */
  readonly cancelAfterMs: number | undefined;
  /** Whether somebody follows its log. */
  readonly isFollowed: boolean;
  /**
   * How long after its submission the same submission is sent once more: soon, when its verdict must still be in etcd, or so
   * late that it may have left.
   */
  readonly repeatAfterMs: number | undefined;
}

/** Tasks of all kinds over a stretch of time. */
export function planTasks(count: number, withinMs: number, chance: SeededChance): PlannedTask[] {
  return Array.from({ length: count }, (_, at) => planTask(at, withinMs, chance)).sort(
    (a, b) => a.submitAt - b.submitAt,
  );
}

/** Many short tasks that all pass: some early, the rest at once and late, and urgent ones among those that wait by then. */
export function planCrowd(
  {
    early,
    within,
    late,
    at,
  }: { readonly early: number; readonly within: number; readonly late: number; readonly at: number },
  chance: SeededChance,
): PlannedTask[] {
  const plan = (number: number, submitAt: number, priority = 5): PlannedTask => {
    const program: TaskProgram = {
      ms: chance.between(500, 3000),
      lines: 1,
      lineBytes: 40,
      printsSecret: false,
      files: [],
      ignoresTerm: false,
      end: 'passes',
    };
    const steps = [{ run: JSON.stringify(program), shell: 'sh' as const }];
    const spec = { name: `task ${number}`, steps, priority };
    return { submitAt, program, spec, cancelAfterMs: undefined, isFollowed: false, repeatAfterMs: undefined };
  };
  return [
    ...Array.from({ length: early }, (_, number) => plan(number, chance.between(0, within))),
    ...Array.from({ length: late }, (_, number) => plan(early + number, at + chance.between(0, 2000))),
    ...Array.from({ length: 4 }, (_, number) => plan(early + late + number, at + chance.between(4000, 30_000), 1)),
  ].sort((a, b) => a.submitAt - b.submitAt);
}

export function idOf(task: PlannedTask, now: number, chance: SeededChance): TaskId {
  return newTaskId(task.spec.priority ?? 5, now, () => chance.random());
}

function planTask(at: number, withinMs: number, chance: SeededChance): PlannedTask {
  const program = planProgram(chance);
  const { end } = program;
  const mayBeCancelled = end === 'never' || chance.happens(0.15);
  return {
    submitAt: chance.between(0, withinMs),
    program,
    spec: planSpec(at, program, chance),
    cancelAfterMs: mayBeCancelled ? chance.between(100, end === 'never' ? 90_000 : 20_000) : undefined,
    isFollowed: chance.happens(0.4),
    repeatAfterMs: chance.happens(0.3)
      ? chance.between(1000, chance.pick([10_000, 300_000, 300_000, 1_500_000]))
      : undefined,
  };
}

function planProgram(chance: SeededChance): TaskProgram {
  const isChatty = chance.happens(0.1);
  return {
    ms: chance.happens(0.5) ? chance.between(50, 3000) : chance.between(3000, 90_000),
    lines: isChatty ? chance.whole(50, 200) : chance.whole(0, 12),
    lineBytes: isChatty ? chance.whole(200, 1500) : chance.whole(40, 90),
    printsSecret: chance.happens(0.2),
    files: chance.happens(0.2)
      ? [
          ['report.txt', chance.whole(0, 3000)],
          ['build.bin', chance.whole(1, 200_000)],
        ]
      : [],
    ignoresTerm: chance.happens(0.1),
    end: endOf(chance.random()),
  };
}

function endOf(dice: number): TaskProgram['end'] {
  if (dice < 0.7) return 'passes';
  if (dice < 0.78) return 'fails';
  if (dice < 0.85) return 'killed';
  return dice < 0.88 ? 'poison' : dice < 0.96 ? 'never' : 'passes';
}

function planSpec(at: number, program: TaskProgram, chance: SeededChance): TaskSpec {
  const { end, files } = program;
  return {
    name: `task ${at}`,
    // Other shells need files, or are looked for on the disk.
    steps: [{ run: JSON.stringify(program), shell: 'sh' }],
    ...(chance.happens(0.2) && { priority: chance.whole(0, 9) }),
    ...(chance.happens(0.15) && { slots: 2 }),
    ...(program.printsSecret && { secrets: [SECRET_NAME] }),
    ...(files.length > 0 && { artifacts: ['*'] }),
    ...(end === 'poison' && { attempts: { lost: 2 } }),
    ...(end === 'killed' && chance.happens(0.5) && { attempts: { crashed: 2 } }),
    ...(end !== 'never' && chance.happens(0.1) && { idempotent: false }),
    // Some run into their time before somebody cancels them; for the others nobody may be left who would.
    timeout: end === 'never' ? chance.pick(['20s', '20m']) : '6h',
  };
}
