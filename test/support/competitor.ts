import type { Cluster } from '../../node-runtime/cluster/cluster.ts';
import { type Renewal, Session } from '../../node-runtime/cluster/session.ts';
import { claimTasks } from '../../node-runtime/queue/claim-loop.ts';
import type { Claim } from '../../node-runtime/queue/records.ts';
import { RestingTasks } from '../../node-runtime/queue/resting-tasks.ts';
import { Slots } from '../../node-runtime/queue/slots.ts';
import type { Executor } from '../../node-runtime/runner/executor.ts';
import { type AttemptEnding, runAttempt } from '../../node-runtime/runner/run-attempt.ts';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import type { NodeId } from '../../shared/ids.ts';

/** The verdict of an executor that does nothing. */
export const NOTHING_DONE = {
  kind: 'finished',
  verdict: {
    outcome: 'passed',
    message: '',
    steps: [],
    log: { bytes: 0, lines: 0 },
    artifacts: { count: 0, bytes: 0 },
  },
} as const;

export const idleExecutor: Executor = { execute: async () => NOTHING_DONE };

export interface Competitor extends AsyncDisposable {
  readonly session: Session;
  readonly claims: Claim[];
  readonly endings: AttemptEnding[];
  /** Claim transactions that won and lost. */
  readonly transactions: { won: number; lost: number };
  readonly slots: Slots;
  /** Claims no more; resolves when what runs has ended. */
  stop(): Promise<void>;
}

export interface CompetitorOptions {
  readonly slots?: number;
  readonly labels?: readonly string[];
  readonly executor?: Executor;
  readonly resting?: RestingTasks;
  readonly onRenewed?: (renewal: Renewal) => void;
}

/** The working half of a node: it competes for tasks and runs them with an executor of the test's. */
export async function compete(cluster: Cluster, name: string, options: CompetitorOptions = {}): Promise<Competitor> {
  const living = new AbortController();
  const claiming = new AbortController();
  const slots = new Slots(options.slots ?? 1);
  const session = await Session.open(cluster, options.onRenewed ?? (() => undefined), living.signal);
  const keep = session.keep(living.signal);
  const claims: Claim[] = [];
  const endings: AttemptEnding[] = [];
  const transactions = { won: 0, lost: 0 };
  const running = new Set<Promise<unknown>>();
  const run = async (claim: Claim, _: Session, onExecuted: () => void) => {
    claims.push(claim);
    const attempt = runAttempt(
      { cluster, session, executor: options.executor ?? idleExecutor, handBack: claiming.signal, onExecuted },
      claim,
    );
    running.add(attempt);
    endings.push(await attempt.finally(() => running.delete(attempt)));
  };
  const loop = claimTasks(
    {
      cluster,
      node: name as NodeId,
      instance: `${name}-instance`,
      address: () => `http://${name}`,
      slots,
      labels: new Set(options.labels ?? []),
      session: () => session,
      accepts: () => true,
      resting: options.resting ?? new RestingTasks(cluster.clock),
      run,
      observe: {
        claimed: count => {
          transactions.won += count;
        },
        lost: count => {
          transactions.lost += count;
        },
      },
    },
    claiming.signal,
  );
  const stop = async () => {
    claiming.abort();
    await loop;
    while (running.size > 0) await Promise.allSettled(running);
  };
  return {
    session,
    claims,
    endings,
    transactions,
    slots,
    stop,
    [Symbol.asyncDispose]: async () => {
      await stop();
      living.abort();
      await keep;
      // A test may have ended its store before.
      await session.close(neverAborted).catch(() => undefined);
    },
  };
}
