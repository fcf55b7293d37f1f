import type { Rig } from './rig.ts';
import type { Job } from './task-kinds.ts';
import type { Workload } from './workload.ts';

/** How long after a fault was healed the cluster took in a new task and finished it. */
export interface Recovery {
  readonly nemesis: string;
  readonly ms: number;
}

const PROBE: Job = {
  kind: 'probe',
  lines: 1,
  filling: 0,
  pauseSeconds: 0.01,
  exitCode: 0,
  keepsFiles: false,
  tellsSecret: false,
  isCancelled: false,
};

/** Submits a small task and waits for its end. Other faults may be at work meanwhile: it is what a user would see. */
export async function recover(rig: Rig, workload: Workload, nemesis: string, signal: AbortSignal): Promise<Recovery> {
  const healedAt = performance.now();
  const { id } = await workload.submit(PROBE, signal);
  const key = `${rig.cluster}/completed/${id}`;
  for (let seen = 0; ; ) {
    for (; seen < rig.tape.events.length; seen++)
      if (rig.tape.events[seen]!.key === key) return { nemesis, ms: rig.tape.events[seen]!.at - healedAt };
    signal.throwIfAborted();
    await rig.tape.changed(signal);
  }
}
