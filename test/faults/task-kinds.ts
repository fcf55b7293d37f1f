import type { TaskSpec } from '../../shared/task.ts';
import type { Draw } from './draw.ts';
import type { Load } from './loads.ts';

/** Which secret tasks are given, whose value must never be seen again. */
export const CANARY_NAME = 'CHAOS_CANARY';

/** What a task is made to do, so that everything it leaves behind is known beforehand. */
export interface Job {
  readonly kind: string;
  readonly lines: number;
  /** Bytes of filling in each line. */
  readonly filling: number;
  readonly pauseSeconds: number;
  readonly exitCode: number;
  readonly keepsFiles: boolean;
  readonly tellsSecret: boolean;
  /** Somebody cancels it once it runs. */
  readonly isCancelled: boolean;
}

const QUICK: Job = {
  kind: 'quick',
  lines: 4,
  filling: 0,
  pauseSeconds: 0.1,
  exitCode: 0,
  keepsFiles: false,
  tellsSecret: false,
  isCancelled: false,
};

/** What tasks do, by the name of the kind. */
export const KINDS = {
  tiny: () => ({ ...QUICK, kind: 'tiny', lines: 1, pauseSeconds: 0.01 }),
  quick: () => QUICK,
  steady: draw => ({ ...QUICK, kind: 'steady', lines: draw.whole(20, 60), pauseSeconds: 0.2 }),
  keeper: draw => ({ ...QUICK, kind: 'keeper', keepsFiles: true, lines: draw.whole(5, 20) }),
  talker: draw => ({ ...QUICK, kind: 'talker', lines: draw.whole(60, 120), filling: 4000, pauseSeconds: 0.05 }),
  long: draw => ({ ...QUICK, kind: 'long', lines: draw.whole(80, 140), pauseSeconds: 0.25 }),
  failing: () => ({ ...QUICK, kind: 'failing', exitCode: 7 }),
  secretive: () => ({ ...QUICK, kind: 'secretive', tellsSecret: true, lines: 10 }),
  cancelled: () => ({ ...QUICK, kind: 'cancelled', isCancelled: true, lines: 240, pauseSeconds: 0.25 }),
} satisfies Record<string, (draw: Draw) => Job>;

export function drawJob(draw: Draw, { shares }: Load): Job {
  const kinds = Object.entries(shares) as [keyof typeof KINDS, number][];
  let at = draw.number() * kinds.reduce((sum, [, share]) => sum + share, 0);
  for (const [kind, share] of kinds) {
    at -= share;
    if (at < 0) return KINDS[kind](draw);
  }
  return QUICK;
}

/** Its task.json. Each line is printed before the witness is told of it. */
export function taskOf(job: Job, witnessPort: number): TaskSpec {
  const script = [
    `exec 3<>/dev/tcp/127.0.0.1/${witnessPort}`,
    'echo "start $SIMPLE_CI_TASK $SIMPLE_CI_ATTEMPT $SIMPLE_CI_FENCE $$" >&3',
    `printf -v filling '%*s' ${job.filling} ''`,
    `for ((i = 1; i <= ${job.lines}; i++)); do`,
    '  echo "line $i of $SIMPLE_CI_TASK, attempt $SIMPLE_CI_ATTEMPT.$filling"',
    '  echo "line $i" >&3',
    `  read -r -t ${job.pauseSeconds} -u 3 || true`,
    'done',
    ...(job.tellsSecret ? [`echo "secret: $${CANARY_NAME}"`] : []),
    ...(job.keepsFiles ? ['mkdir kept; seq 5000 > kept/numbers; echo "$SIMPLE_CI_TASK" > kept/task'] : []),
    'echo end >&3',
    `exit ${job.exitCode}`,
  ].join('\n');
  return {
    name: job.kind,
    timeout: '15m',
    ...(job.keepsFiles && { artifacts: ['kept/*'] }),
    ...(job.tellsSecret && { secrets: [CANARY_NAME] }),
    steps: [{ run: script, shell: 'bash' }],
  };
}

/** The whole log of an attempt that comes to its end. */
export function expectedLog(job: Job, task: string, attempt: number): string {
  const filling = ' '.repeat(job.filling);
  const lines = Array.from(
    { length: job.lines },
    (_, i) => `line ${i + 1} of ${task}, attempt ${attempt}.${filling}\n`,
  );
  return lines.join('') + (job.tellsSecret ? 'secret: ***\n' : '');
}

export function expectedArtifacts(job: Job, task: string): Map<string, string> {
  if (!job.keepsFiles) return new Map();
  const numbers = Array.from({ length: 5000 }, (_, i) => `${i + 1}\n`).join('');
  return new Map([
    ['kept/numbers', numbers],
    ['kept/task', `${task}\n`],
  ]);
}
