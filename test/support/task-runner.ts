import { fileURLToPath } from 'node:url';
import type { Cluster } from '../../node-runtime/cluster/cluster.ts';
import { createLogs } from '../../node-runtime/logs/node-logs.ts';
import { readTaskState } from '../../node-runtime/queue/records.ts';
import type { PrepareSource } from '../../node-runtime/runner/prepare-source.ts';
import type { Supervisor } from '../../node-runtime/runner/sandbox.ts';
import { startSupervisor, type SupervisorOptions } from '../../node-runtime/runner/supervisor/start-supervisor.ts';
import { TaskExecutor } from '../../node-runtime/runner/task-executor.ts';
import { systemChance } from '../../node-runtime/system/chance.ts';
import { neverAborted, systemClock } from '../../node-runtime/system/clock.ts';
import { CiError } from '../../shared/errors.ts';
import type { Fence, TaskId } from '../../shared/ids.ts';
import { ArtifactManifest, type TaskResult } from '../../shared/result.ts';
import type { TaskSpec } from '../../shared/task.ts';
import { type Competitor, compete } from './competitor.ts';
import type { MemoryObjectStore } from './memory-object-store.ts';
import { temporaryFolder } from './temporary-folder.ts';
import { testCluster } from './test-cluster.ts';
import { readNow } from './test-logs.ts';
import { eventually, submit } from './test-tasks.ts';

const MAIN = fileURLToPath(new URL('../../node-runtime/main.ts', import.meta.url));

/** A supervisor process that runs tasks as this user. It freezes nothing unless a rule says so. */
export async function plainSupervisor(rules: Partial<SupervisorOptions> = {}): Promise<Supervisor & AsyncDisposable> {
  const folder = await temporaryFolder();
  const supervisor = await startSupervisor({
    command: [process.execPath, MAIN, 'supervise'],
    root: folder.path,
    isolation: 'none',
    clock: systemClock,
    onNotice: () => undefined,
    freezeAfterMs: 3_600_000,
    ...rules,
  });
  const end = supervisor[Symbol.asyncDispose].bind(supervisor);
  supervisor[Symbol.asyncDispose] = async () => {
    await end();
    await folder[Symbol.asyncDispose]();
  };
  return supervisor;
}

export interface TaskRunner extends AsyncDisposable {
  readonly cluster: Cluster;
  readonly objects: MemoryObjectStore;
  readonly node: Competitor;
  submit(task: Partial<TaskSpec>): Promise<TaskId>;
  /** Resolves when the task is finished. */
  result(id: TaskId): Promise<TaskResult>;
  run(task: Partial<TaskSpec>): Promise<TaskResult & { id: TaskId; output: string; notes: string[] }>;
  /** What an attempt has printed that is stored or still in memory. */
  output(id: TaskId, fence: Fence): Promise<string>;
  /** The same with its notes and how its steps ended, and how it ended: as lost, unless it is stored to its end. */
  log(id: TaskId, fence: Fence): Promise<{ text: string; notes: string[]; ends: string[]; reason: string | undefined }>;
  artifacts(id: TaskId, fence: Fence): Promise<ArtifactManifest['files'] | undefined>;
}

export interface TaskRunnerOptions {
  readonly slots?: number;
  readonly secrets?: Readonly<Record<string, string>>;
  readonly prepareSource?: PrepareSource;
  readonly storeTimeoutMs?: number;
}

/** A node that runs tasks for real, on a supervisor that tests may share and a cluster of its own in memory. */
export async function taskRunner(supervisor: Supervisor, options: TaskRunnerOptions = {}): Promise<TaskRunner> {
  const cluster = await testCluster();
  const { objects, objectKeys } = cluster;
  const { storeTimeoutMs = 60_000, secrets = {} } = options;
  const logs = createLogs({ objects, objectKeys, clock: systemClock, chance: systemChance, storeTimeoutMs });
  let node: Competitor | undefined;
  const executor = new TaskExecutor({
    cluster,
    logs,
    supervisor: () => supervisor,
    session: () => node?.session,
    readSecrets: async names => new Map(names.map(name => [name, secretOf(secrets, name)])),
    prepareSource: options.prepareSource ?? (async () => undefined),
  });
  node = await compete(cluster, 'n1', {
    slots: options.slots ?? 4,
    executor,
    onRenewed: renewal => supervisor.renewed(renewal),
  });
  const output = async (task: TaskId, fence: Fence) =>
    (await readNow(logs, { task, fence }, 0, 'finished')).bytes.toString();
  const result = async (id: TaskId) =>
    (await eventually(`${id} finished`, async () => (await readTaskState(cluster, id, neverAborted)).completed)).value;
  return {
    cluster,
    objects: objects as MemoryObjectStore,
    node,
    output,
    result,
    submit: task => submit(cluster, task),
    async log(task, fence) {
      const { bytes, marks, end } = await readNow(logs, { task, fence }, 0, 'lost');
      const notes = marks.filter(({ kind }) => kind === 'note').map(({ text }) => text);
      const ends = marks.filter(({ kind }) => kind === 'step-finished').map(({ text }) => text);
      return { text: bytes.toString(), notes, ends, reason: end?.reason };
    },
    async run(task) {
      const id = await submit(cluster, task);
      const ended = await result(id);
      const seen = await readNow(logs, { task: id, fence: ended.fence }, 0, 'finished');
      const notes = seen.marks.filter(({ kind }) => kind === 'note').map(({ text }) => text);
      return { ...ended, id, output: seen.bytes.toString(), notes };
    },
    async artifacts(id, fence) {
      const stored = (objects as MemoryObjectStore).objects.get(objectKeys.artifactManifest(id, fence));
      return stored && ArtifactManifest.parse(JSON.parse(Buffer.from(stored.bytes).toString())).files;
    },
    async [Symbol.asyncDispose]() {
      await node[Symbol.asyncDispose]();
      await cluster[Symbol.asyncDispose]();
    },
  };
}

function secretOf(secrets: Readonly<Record<string, string>>, name: string): string {
  const value = secrets[name];
  if (value === undefined) throw new CiError('invalid', `Cannot run the task as it asks for a secret: ${name}`);
  return value;
}
