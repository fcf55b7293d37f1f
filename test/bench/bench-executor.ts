import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Cluster } from '../../node-runtime/cluster/cluster.ts';
import type { Renewal } from '../../node-runtime/cluster/session.ts';
import type { Logs } from '../../node-runtime/logs/logs.ts';
import { createLogs } from '../../node-runtime/logs/node-logs.ts';
import { startSupervisor } from '../../node-runtime/runner/supervisor/start-supervisor.ts';
import { TaskExecutor } from '../../node-runtime/runner/task-executor.ts';
import type { Executor } from '../../node-runtime/runner/executor.ts';
import type { Isolation } from '../../node-runtime/runner/sandbox.ts';
import type { TaskId } from '../../shared/ids.ts';
import { systemClock } from '../../node-runtime/system/clock.ts';

export const MAIN = fileURLToPath(new URL('../../node-runtime/main.ts', import.meta.url));

/** The executor of a node, with a supervisor process of its own, which is to be told of the renewals of its session. */
export async function realExecutor(
  cluster: Cluster,
  options: { isolation?: Isolation; onOutput?: (task: TaskId, text: string) => void } = {},
): Promise<{ executor: Executor; onRenewed: (renewal: Renewal) => void } & AsyncDisposable> {
  const folder = await mkdtemp(join(tmpdir(), 'simple-ci-bench-'));
  const supervisor = await startSupervisor({
    command: [process.execPath, MAIN, 'supervise'],
    root: join(folder, 'sandboxes'),
    isolation: options.isolation ?? 'none',
    clock: systemClock,
    onNotice: () => undefined,
  });
  const { objects, objectKeys, clock, chance } = cluster;
  const executor = new TaskExecutor({
    cluster,
    logs: overhear(createLogs({ objects, objectKeys, clock, chance }), options.onOutput),
    supervisor: () => supervisor,
    session: () => undefined,
    readSecrets: async () => new Map(),
    prepareSource: async () => undefined,
  });
  return {
    executor,
    onRenewed: renewal => supervisor.renewed(renewal),
    [Symbol.asyncDispose]: async () => {
      await supervisor[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The same logs, with what tasks print told as well. */
function overhear(logs: Logs, onOutput: ((task: TaskId, text: string) => void) | undefined): Logs {
  if (!onOutput) return logs;
  return {
    open: (attempt, mask) => {
      const writer = logs.open(attempt, mask);
      const write = writer.write.bind(writer);
      writer.write = bytes => {
        onOutput(attempt.task, Buffer.from(bytes).toString());
        return write(bytes);
      };
      return writer;
    },
    read: logs.read.bind(logs),
    length: logs.length.bind(logs),
    outline: logs.outline.bind(logs),
  };
}
