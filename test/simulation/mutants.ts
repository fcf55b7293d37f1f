import type { Act } from './nemesis.ts';
import type { Patch } from './patch-sources.ts';
import type { Invariant } from './violation.ts';
import type { Workload } from './workloads.ts';

/** A mistake that somebody could make, in the product or in what surrounds it. */
export interface Mutant {
  readonly name: string;
  /** Promises that it breaks, whichever of them is seen first. Another one, or a bug, would be noticed for the wrong reason. */
  readonly breaks: readonly Invariant[];
  readonly patches: readonly Patch[];
  /** The faults under which it is looked for, where those that seeds choose would show it too rarely. */
  readonly acts: readonly Act[] | undefined;
  /** And in which clusters, likewise. */
  readonly workload?: Workload;
}

function mutant(
  name: string,
  breaks: readonly Invariant[],
  file: string,
  find: string,
  replace: string,
  acts?: readonly Act[],
): Mutant {
  return { name, breaks, patches: [{ file, find, replace }], acts };
}

function inEvery(workload: Workload, plain: Mutant): Mutant {
  return { ...plain, workload };
}

const claim = 'node-runtime/queue/claim.ts';
const complete = 'node-runtime/queue/complete.ts';
const release = 'node-runtime/queue/release.ts';
const executor = 'node-runtime/runner/thaw-when-recovered.ts';
const FENCE_OF_COMPLETE =
  '        { key: keys.lock(claim.id), createRevision: claim.fence },\n        { key: keys.completed(claim.id), exists: false },\n';

/** Every one of them must be caught. One that no seed catches says that something is not tested at all. */
export const MUTANTS: readonly Mutant[] = [
  mutant(
    'COMPLETE compares no fence',
    ['I2'],
    complete,
    FENCE_OF_COMPLETE,
    '        { key: keys.completed(claim.id), exists: false },\n',
    ['a node is paused as it completes'],
  ),
  mutant('COMPLETE compares nothing', ['I1', 'I2'], complete, FENCE_OF_COMPLETE, ''),
  mutant('COMPLETE leaves the task in the queue', ['I1'], complete, '        { delete: keys.task(claim.id) },\n', ''),
  mutant(
    'COMPLETE wants some lock, not its own',
    ['I2'],
    complete,
    '{ key: keys.lock(claim.id), createRevision: claim.fence },',
    '{ key: keys.lock(claim.id), exists: true },',
    ['a node is paused as it completes'],
  ),
  mutant(
    'COMPLETE takes a lost answer for success',
    ['I3', 'I10'],
    complete,
    "  if (answer.kind === 'committed') return 'completed';",
    "  if (answer.kind !== 'refused') return 'completed';",
  ),
  mutant(
    'COMPLETE takes a lost answer for failure',
    ['I3', 'I10'],
    complete,
    "  if (answer.kind === 'committed') return 'completed';",
    "  if (answer.kind === 'committed') return 'completed';\n  if (answer.kind === 'ambiguous') return 'fenced';",
  ),
  mutant(
    'CLAIM does not mind another claim',
    ['I2', 'I4'],
    claim,
    '        { key: keys.lock(id), exists: false },\n        { key: keys.completed(id), exists: false },\n        { key: keys.attempts(id), modRevision: before?.revision ?? 0 },\n',
    '',
  ),
  mutant(
    'CLAIM takes a lost answer for failure',
    ['I3', 'I10'],
    claim,
    "  if (result.kind === 'ambiguous') {\n",
    "  if (result.kind === 'ambiguous') return { kind: 'refused', state: { revision: 0 } };\n  if (result.kind === 'ambiguous') {\n",
  ),
  mutant(
    'CLAIM takes any lock for its own when the answer was lost',
    ['I6', 'I8'],
    claim,
    'return records[0] && hasNonce(records[0], nonce) ? records[0].createRevision : undefined;',
    'return records[0]?.createRevision;',
  ),
  mutant(
    'a claim that arrives late is left alone',
    ['I3', 'I10'],
    'node-runtime/queue/late-claims.ts',
    'const LOOKS_MS = [500, 2000, 5000, 15_000, 40_000];',
    'const LOOKS_MS: number[] = [];',
    ['a claim comes late'],
  ),
  mutant(
    'whoever looks for a late claim of its own deletes the lock of another',
    ['I6'],
    'node-runtime/queue/late-claims.ts',
    'if (!lock || !hasNonce(lock, nonce)) return true;',
    "if (!lock || (nonce === '' && !hasNonce(lock, nonce))) return true;",
  ),
  mutant(
    'a task that was cancelled is claimed as any other',
    ['I10'],
    'node-runtime/queue/claim-loop.ts',
    '    if (task.cancelled) {',
    '    if (task.cancelled && task.v === 0) {',
  ),
  mutant(
    'there is no budget of attempts',
    ['I4'],
    claim,
    '  if (task.idempotent === false && attempts.claims > 0) return true;\n  return (',
    '  if (task.idempotent === false && attempts.claims > 0) return true;\n  return false && (',
  ),
  mutant(
    'the attempt that was lost last is not counted yet',
    ['I4'],
    claim,
    'const lost = attempts.lost + (attempts.open ? 1 : 0);',
    'const { lost } = attempts;',
  ),
  mutant(
    'lost attempts are not charged',
    ['I4'],
    claim,
    'return { ...rest, lost: rest.lost + 1, past: keepNewest([...rest.past, past]) };',
    'return { ...rest, past: keepNewest([...rest.past, past]) };',
  ),
  mutant(
    'a task that may run once only is repeated',
    ['I4'],
    claim,
    '  if (task.idempotent === false && attempts.claims > 0) return true;\n',
    '',
  ),
  mutant(
    'RELEASE compares no fence',
    ['I4', 'I6'],
    release,
    '      when: [{ key: keys.lock(claim.id), createRevision: claim.fence }],',
    '      when: [],',
  ),
  mutant(
    'RELEASE takes a lost answer for success',
    ['I3', 'I10'],
    release,
    'if (state.lock?.revision === claim.fence) throw result.cause;',
    'if (state.lock?.revision === 0) throw result.cause;',
  ),
  mutant(
    'a drained attempt is charged as a lost one',
    ['I4'],
    release,
    "    lost: rest.lost + (end === 'infrastructure' ? 1 : 0),\n    drained: rest.drained + (end === 'drained' ? 1 : 0),",
    '    lost: rest.lost + 1,',
  ),
  mutant(
    'a claim is handed back by ending the lease of all',
    ['I11'],
    'node-runtime/runner/run-attempt.ts',
    'releaseTask(cluster, claim, charged, message, session.lost)',
    'session.close(new AbortController().signal)',
  ),
  mutant(
    'a node leaves before what it ran was handed back',
    ['I11'],
    'node-runtime/running-node.ts',
    '    await Promise.race([ended, fired(handBackLimit.signal)]);\n',
    '',
  ),
  mutant(
    'DEAD-LETTER does not mind a lock',
    ['I2'],
    'node-runtime/queue/dead-letter.ts',
    '        { key: keys.lock(id), exists: false },\n',
    '',
  ),
  mutant(
    'CANCEL writes whatever has become of the task',
    ['I5'],
    'node-runtime/queue/cancel.ts',
    '      when: [\n        { key: keys.task(id), modRevision: revision },\n        { key: keys.lock(id), exists: true },\n      ],',
    '      when: [],',
    ['a node is paused as it submits or cancels'],
  ),
  mutant(
    'SUBMIT does not look for a verdict',
    ['I5'],
    'node-runtime/queue/submit.ts',
    '        { key: keys.completed(id), exists: false },\n',
    '',
  ),
  mutant(
    'SUBMIT puts again what is in the queue already',
    ['I5'],
    'node-runtime/queue/submit.ts',
    '        { key: keys.task(id), exists: false },\n',
    '',
  ),
  mutant(
    'retention deletes before it has archived',
    ['I3'],
    'node-runtime/queue/retention.ts',
    '    await history.archive(old, signal);\n    moved += await removeAll(cluster, old, signal);',
    '    moved += await removeAll(cluster, old, signal);\n    await history.archive(old, signal);',
  ),
  mutant(
    'retention forgets what may be submitted again',
    ['I5'],
    'node-runtime/queue/retention.ts',
    'const KEEP_AT_LEAST_MS = FRESH_ID_MS + 600_000;',
    'const KEEP_AT_LEAST_MS = -FRESH_ID_MS;',
  ),
  mutant(
    'SUBMIT does not look for a verdict that has left etcd',
    ['I5'],
    'node-runtime/queue/submit.ts',
    'const earlier = isFresh(cluster, id) ? undefined : await',
    'const earlier = isFresh(cluster, id) || id !== undefined ? undefined : await',
  ),
  mutant(
    'a task is frozen after twice the lease',
    ['I6'],
    'node-runtime/runner/supervisor/freeze-when-silent.ts',
    'freezeAfterMs: 20_000',
    'freezeAfterMs: 60_000',
  ),
  mutant(
    'a command begins though its lease may have ended',
    ['I6'],
    'node-runtime/runner/supervisor/permit.ts',
    'return this.#frozenSince === undefined && this.isLeaseAlive;',
    'return this.#frozenSince === undefined;',
    ['a node is paused as it starts a command'],
  ),
  mutant(
    'a frozen task goes on though its lease may have ended',
    ['I6'],
    'node-runtime/runner/supervisor/permit.ts',
    '    if (!this.isLeaseAlive) throw',
    '    if (!this.isLeaseAlive && this.#frozenSince === undefined) throw',
    ['a node is paused as it lets a task go on', 'etcd has no leader'],
  ),
  mutant(
    'the watchdog lives inside the node that it watches',
    ['I6', 'I11'],
    'test/simulation/model-supervisor.ts',
    "return new ModelSupervisor(parts, parts.machine.start('supervisor'));",
    'return new ModelSupervisor(parts, parts.node);',
  ),
  mutant(
    'a supervisor trusts the clock that stands still in sleep',
    ['I6'],
    'node-runtime/runner/supervisor/renewal-watch.ts',
    'return Math.max(this.#clock.monotonic() - monotonic, this.#clock.now() - wall);',
    'return this.#clock.monotonic() - monotonic;',
    ['a machine sleeps'],
  ),
  mutant(
    'what a supervisor has frozen for no reason that its node knows stays frozen',
    ['I3'],
    executor,
    'if ((await sandbox.stoodStill(from)) > 0) await thawIfHeld(thawing);',
    'if ((await sandbox.stoodStill(from)) < 0) await thawIfHeld(thawing);',
    ['a clock is set'],
  ),
  mutant(
    'a frozen task goes on never',
    ['I3'],
    executor,
    'if (lock?.revision === claim.fence) await sandbox.thaw();',
    'if (lock?.revision === 0) await sandbox.thaw();',
  ),
  mutant(
    'a watch goes on from the revision in the header',
    ['I3', 'I10', 'I12', 'I14'],
    'node-runtime/store/etcd/etcd-watch.ts',
    'if (last) return { revision: Number(last.kv.mod_revision), changes: events.map(toChange) };',
    'if (last) return { revision: Number(reply.header.revision), changes: events.map(toChange) };',
  ),
  mutant(
    'a watch that was compacted away goes on where history begins',
    ['I3', 'I10', 'I12', 'I14'],
    'node-runtime/store/etcd/etcd-watch.ts',
    '        refuseCanceled(reply, from);\n',
    "        if (reply.canceled && reply.compact_revision !== '0') {\n          from = Number(reply.compact_revision);\n          break;\n        }\n        refuseCanceled(reply, from);\n",
    ['etcd is compacted', 'a node is cut off from etcd', 'connections to etcd are cut'],
  ),
  {
    name: 'a task that was given up is left alone for ten minutes',
    breaks: ['I3', 'I10'],
    patches: [
      {
        file: 'node-runtime/queue/resting-tasks.ts',
        find: 'const FIRST_REST_MS = 1000;',
        replace: 'const FIRST_REST_MS = 600_000;',
      },
      {
        file: 'node-runtime/queue/resting-tasks.ts',
        find: 'const LONGEST_REST_MS = 60_000;',
        replace: 'const LONGEST_REST_MS = 600_000;',
      },
    ],
    acts: undefined,
  },
  mutant(
    'the end of a lease goes unnoticed',
    ['I3', 'I14'],
    'node-runtime/cluster/session.ts',
    '      if (ttl === 0) {',
    '      if (ttl < 0) {',
  ),
  mutant(
    'a heartbeat is a key that is written again and again',
    ['I12'],
    'node-runtime/cluster/session.ts',
    '      const ttl = await this.#cluster.store.renewLease(',
    "      const beat = { when: [], then: [{ put: 'heartbeat', value: this.lease }] };\n      void this.#cluster.store.commit(beat, { signal, timeoutMs: CALL_TIMEOUT_MS }).catch(() => undefined);\n      const ttl = await this.#cluster.store.renewLease(",
  ),
  mutant(
    'a task in the queue does not tell of the attempt that it has lost',
    ['I9'],
    'node-runtime/queue/summaries.ts',
    'past: attempts ? closeLost(attempts).past : [] };',
    'past: attempts?.value.past ?? [] };',
  ),
  mutant(
    'what a newer release has added to a task is lost',
    ['two releases'],
    'shared/task.ts',
    'export const TaskRecord = z.looseObject({',
    'export const TaskRecord = z.object({',
  ),
  mutant(
    'pieces of a log are stored without the fence',
    ['I8'],
    'shared/keyspace.ts',
    ['(task: TaskId, fence: Fence) => `', '{root}tasks/', '{task}/', '{fence}/`;'].join('$'),
    ['(task: TaskId, _fence: Fence) => `', '{root}tasks/', '{task}/`;'].join('$'),
  ),
  mutant(
    'a task is completed before its log is stored',
    ['I8'],
    'node-runtime/logs/log-writer.ts',
    '    await this.#uploads.putManifest({ v: 1, ...summary, sha256, pieces: this.#manifest, marks: [...marks] });',
    '    void this.#uploads.putManifest({ v: 1, ...summary, sha256, pieces: this.#manifest, marks: [...marks] }).catch(() => undefined);',
  ),
  mutant(
    'the end of a log is not stored',
    ['I8'],
    'node-runtime/logs/log-writer.ts',
    'if (open.end > open.start && !open.isFull) await this.#storeLastBlock(',
    'if (open.end < open.start) await this.#storeLastBlock(',
  ),
  mutant(
    'a step that fails is always forgiven',
    ['I7'],
    'node-runtime/runner/attempt.ts',
    "ending.outcome === 'failed' && step.continueOnError === true;",
    "ending.outcome === 'failed' && step.continueOnError !== false;",
  ),
  mutant(
    'that the object store is away is held against the task',
    ['I7'],
    'node-runtime/runner/attempt.ts',
    "if (!isCiError(error, 'invalid')) throw error;\n      log.mark('note', error.message);",
    "if (!isCiError(error)) throw error;\n      log.mark('note', error.message);",
    ['a node is cut off from the object store'],
  ),
  mutant(
    'secrets are not masked',
    ['I13'],
    'node-runtime/logs/node-logs.ts',
    'mask: new Mask(mask)',
    'mask: new Mask(mask.slice(mask.length))',
  ),
  mutant(
    'what its predecessor has counted is taken for the demand',
    ['I14'],
    'node-runtime/queue/read-demand.ts',
    'counted === true;',
    'counted !== false;',
    ['a node is paused', 'kill -9 of a node'],
  ),
  {
    name: 'the demand is written by whoever has had the post',
    breaks: ['I14'],
    patches: [
      {
        file: 'node-runtime/queue/keep-demand.ts',
        find: '    const when = [{ key, modRevision: revision }];',
        replace: '    const when: { key: string; modRevision: number }[] = [];',
      },
      // The lease of the post says the same once more: etcd refuses a put under one that has ended.
      {
        file: 'node-runtime/queue/keep-demand.ts',
        find: 'value: JSON.stringify({ ...record, counted: true }), lease };',
        replace: 'value: JSON.stringify({ ...record, counted: true }), ...(lease === undefined && { lease }) };',
      },
    ],
    acts: ['a node is paused as it tells the demand'],
  },
  mutant(
    'what is not listed yet is taken for nothing',
    ['I14'],
    'node-runtime/queue/demand-view.ts',
    '    if (this.#listed.size < 2) return;',
    '',
  ),
  mutant(
    'two nodes have one post',
    ['I14', 'I15'],
    'node-runtime/cluster/posts.ts',
    'found.lease === lease',
    'found.lease !== undefined',
  ),
  inEvery(
    'scaling',
    mutant(
      'the scaler does not say which number it has read',
      ['I15'],
      'node-runtime/kubernetes/scaler.ts',
      'await api.patch(path, { metadata, spec:',
      'await api.patch(path, { ...(metadata === undefined && { metadata }), spec:',
      ['a node is paused as it scales', 'a node is paused as it claims or hands back'],
    ),
  ),
  inEvery(
    'scaling',
    mutant(
      'a new scaler takes what it does not know for nothing',
      ['I15'],
      'node-runtime/kubernetes/scaler.ts',
      'nodes: options.max }];',
      'nodes: options.min }];',
    ),
  ),
  inEvery(
    'scaling',
    mutant(
      'there are fewer nodes as soon as fewer would do',
      ['I15'],
      'node-runtime/kubernetes/next-scale-step.ts',
      'const spare = capacity - Math.max(wanted, recent);',
      'const spare = capacity - Math.max(wanted, Math.min(0, recent));',
    ),
  ),
  inEvery(
    'scaling',
    mutant(
      'nobody is ever asked to retire',
      ['I15'],
      'node-runtime/kubernetes/next-scale-step.ts',
      'return spare > 0 && idle.length > 0 ?',
      'return spare > 0 && idle.length < 0 ?',
    ),
  ),
  inEvery(
    'crowd',
    mutant(
      'who looks at stretches is not told of what comes before them',
      ['I16'],
      'node-runtime/queue/queue-view.ts',
      'this.#watch({ upTo }, () => this.#isStale, watch.signal),',
      'this.#watch({ upTo }, () => false, watch.signal),',
    ),
  ),
  inEvery(
    'crowd',
    mutant(
      'who looks at stretches is not told of an urgent task behind another',
      ['I16'],
      'node-runtime/queue/queue-view.ts',
      'return ids[bound]!;',
      'return ids[bound < 0 ? bound : 0]!;',
      ['etcd changes its leader'],
    ),
  ),
];
