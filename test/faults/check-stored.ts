import { createHash } from 'node:crypto';
import { zstdDecompressSync } from 'node:zlib';
import type { ChaosApi } from './chaos-api.ts';
import { Refused } from './chaos-api.ts';
import { attemptName, type Claimed, type Completed, type Violation } from './check-tape.ts';
import type { Bucket } from './bucket.ts';
import { expectedArtifacts, expectedLog } from './task-kinds.ts';
import type { TapeEvent } from './tape.ts';
import type { Execution } from './witness.ts';
import type { Submission } from './workload.ts';

export interface StoredChecks {
  readonly api: ChaosApi;
  readonly bucket: Bucket;
  readonly submissions: readonly Submission[];
  readonly executions: readonly Execution[];
  readonly claims: readonly Claimed[];
  readonly completed: ReadonlyMap<string, Completed>;
  readonly canaries: ReadonlyMap<string, string>;
  readonly events: readonly TapeEvent[];
  /** Whether nothing has kept that node from storing anything then. */
  readonly couldStore: (node: string, from: number, to: number) => boolean;
}

export interface StoredStory {
  readonly violations: readonly Violation[];
  readonly logs: number;
  readonly logBytes: number;
  readonly artifacts: number;
  readonly objects: number;
  /** What attempts that did not end their task have lost of their logs: how long before its last line the stored log ends. */
  readonly losses: readonly LogLoss[];
}

export interface LogLoss {
  readonly task: string;
  readonly fence: number;
  readonly seconds: number;
  readonly bytes: number;
  /** S3 did not take it at the time: then more may be lost. */
  readonly isExcused: boolean;
}

/** What a log may lose with its node. */
const LOSS_LIMIT = { seconds: 5, bytes: 256 * 1024 };
const AT_ONCE = 6;

/** Reads every log and every artifact again, and looks into every byte that is stored for what must not be there. */
export async function checkStored(checks: StoredChecks, signal: AbortSignal): Promise<StoredStory> {
  const check = new StoredCheck(checks, signal);
  await each(checks.submissions, submission => check.task(submission));
  await check.bucket();
  check.tape();
  return check;
}

class StoredCheck implements StoredStory {
  readonly violations: Violation[] = [];
  readonly losses: LogLoss[] = [];
  logs = 0;
  logBytes = 0;
  artifacts = 0;
  objects = 0;
  readonly #checks: StoredChecks;
  readonly #signal: AbortSignal;
  readonly #executions: ReadonlyMap<string, readonly Execution[] | undefined>;
  readonly #nodes: ReadonlyMap<string, string>;

  constructor(checks: StoredChecks, signal: AbortSignal) {
    this.#checks = checks;
    this.#signal = signal;
    this.#executions = Map.groupBy(checks.executions, ({ task }) => task);
    this.#nodes = new Map(checks.claims.map(claim => [attemptName(claim), claim.node]));
  }

  async task(submission: Submission): Promise<void> {
    const { id, job } = submission;
    const completed = this.#checks.completed.get(id);
    if (!completed) return; // The tape's business.
    for (const execution of this.#executions.get(id) ?? []) {
      const expected = expectedLog(job, id, execution.attempt);
      const log = await this.#readLog(id, execution.attempt);
      const isWhole = execution.fence === completed.fence && execution.saidEnd;
      this.#lookInto(`log of ${id}, attempt ${execution.attempt}`, log);
      // Its disk was full: whether that may be is for the verdicts' check to say.
      const complains = execution.fence === completed.fence && completed.outcome === 'failed' && job.exitCode === 0;
      const node = this.#nodes.get(attemptName(execution)) ?? '';
      const couldStore = (from: number, to: number) => this.#checks.couldStore(node, from, to);
      const told = { execution, log: log.toString(), expected, isWhole, complains, couldStore };
      this.violations.push(...checkLog(told, this.losses));
      this.logs++;
      this.logBytes += log.length;
    }
    if (completed.outcome === 'passed') await this.#artifacts(submission);
  }

  /** Every object lies under a fence that was one, and holds none of the canaries. */
  async bucket(): Promise<void> {
    const attempts = new Set(this.#checks.claims.map(attemptName));
    const keys = await this.#checks.bucket.list(this.#signal);
    await each(keys, async key => {
      const [, task, fence] = /\/tasks\/([^/]+)\/(\d+)\//.exec(key) ?? [];
      if (task !== undefined && !attempts.has(attemptName({ task, fence: Number(fence) })))
        this.#report('I7', task, `an object lies under no fence: ${key}`);
      const bytes = await this.#checks.bucket.get(key, this.#signal);
      this.#lookInto(`object ${key}`, bytes);
      this.objects++;
    });
  }

  tape(): void {
    for (const { key, value = '', revision } of this.#checks.events)
      for (const name of findCanaries(Buffer.from(value), this.#checks.canaries))
        this.#report('I13', key, `holds ${name} at revision ${revision}`);
  }

  async #artifacts({ id, job }: Submission): Promise<void> {
    const { api } = this.#checks;
    const listed = await api.json<{ artifacts: readonly { path: string; size: number; sha256: string }[] }>(
      'GET',
      `/v1/tasks/${id}/artifacts`,
      undefined,
      this.#signal,
    );
    const expected = expectedArtifacts(job, id);
    const paths = listed.artifacts.map(({ path }) => path).sort();
    if (paths.join() !== [...expected.keys()].sort().join())
      this.#report('I7', id, `keeps ${paths}, not ${[...expected.keys()]}`);
    for (const { path, sha256 } of listed.artifacts) {
      const bytes = await api.request('GET', `/v1/tasks/${id}/artifacts/${path}`, undefined, this.#signal);
      const own = createHash('sha256').update(bytes).digest('hex');
      if (own !== sha256) this.#report('I7', id, `${path} hashes to ${own}, its list says ${sha256}`);
      if (bytes.toString() !== expected.get(path)) this.#report('I7', id, `${path} is not what the task wrote`);
      this.artifacts++;
    }
  }

  /** One that was never stored is an empty one. */
  async #readLog(id: string, attempt: number): Promise<Buffer> {
    const path = `/v1/tasks/${id}/log?attempt=${attempt}`;
    return this.#checks.api.request('GET', path, undefined, this.#signal).catch((error: unknown) => {
      if (error instanceof Refused && error.status === 404) return Buffer.alloc(0);
      throw error;
    });
  }

  #lookInto(subject: string, bytes: Buffer): void {
    for (const name of findCanaries(bytes, this.#checks.canaries)) this.#report('I13', subject, `holds ${name}`);
  }

  #report(invariant: string, subject: string, text: string): void {
    this.violations.push({ invariant, subject, text });
  }
}

interface LogCheck {
  /** Whether nothing has kept its node from storing anything then. */
  readonly couldStore: (from: number, to: number) => boolean;
  readonly execution: Execution;
  readonly log: string;
  /** What the attempt prints if it comes to its end. */
  readonly expected: string;
  /** It is the attempt that has completed the task. */
  readonly isWhole: boolean;
  /** A command of its has failed on the way, and said so after what it was made to print. */
  readonly complains: boolean;
}

/** One stored log against what its attempt printed; adds what is missing from an unfinished one to `losses`. */
export function checkLog(
  { execution, log, expected, isWhole, complains, couldStore }: LogCheck,
  losses: LogLoss[],
): Violation[] {
  const { task, fence, beats } = execution;
  const subject = `${task}, fence ${fence}`;
  if (isWhole)
    return log === expected
      ? []
      : [
          {
            invariant: 'I8',
            subject,
            text: `its log is ${log.length} characters, not the ${expected.length} that it printed`,
          },
        ];
  const hadNoSpace = log.startsWith(expected) && NO_SPACE.test(log.slice(expected.length));
  const isItsOwn = complains ? log.startsWith(expected) : hadNoSpace || expected.startsWith(log);
  if (!isItsOwn) {
    const at = [...log].findIndex((character, index) => character !== expected[index]);
    const text = `its log is no beginning of what it printed: it has ${JSON.stringify(log.slice(at, at + 100))} at ${at} of ${expected.length}`;
    return [{ invariant: 'I8', subject, text }];
  }
  if (complains || hadNoSpace) return [];
  const printed = beats.at(-1);
  const stored = log.split('\n').length - 1;
  const firstLost = beats.find(({ line }) => line > stored);
  if (!printed || !firstLost) return [];
  const seconds = (printed.at - firstLost.at) / 1000;
  const bytes = expected.split('\n').slice(0, printed.line).join('\n').length + 1 - log.length;
  const isExcused = !couldStore(firstLost.at, printed.at);
  losses.push({ task, fence, seconds, bytes, isExcused });
  return !isExcused && seconds > LOSS_LIMIT.seconds && bytes > LOSS_LIMIT.bytes
    ? [{ invariant: 'I8', subject, text: `its log lacks its last ${seconds.toFixed(1)} s, ${bytes} bytes` }]
    : [];
}

/** What its programs say of a disk that is full, be it that its node is lost before it has its verdict. */
const NO_SPACE = /^(?:.*No space left on device\n?)+$/;
const ZSTD_MAGIC = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);

/** Names of the canaries that these bytes hold, as they are, compressed or in base64. */
export function findCanaries(bytes: Buffer, canaries: ReadonlyMap<string, string>): string[] {
  const layers = [bytes, ...decompressed(bytes), ...inlined(bytes)];
  return [...canaries].flatMap(([name, value]) => (layers.some(layer => layer.includes(value)) ? [name] : []));
}

/** Whatever is packed in it, by the mark with which zstd begins. */
function decompressed(bytes: Buffer): Buffer[] {
  const at = bytes.indexOf(ZSTD_MAGIC);
  if (at < 0) return [];
  try {
    return [zstdDecompressSync(bytes.subarray(at))];
  } catch {
    return [];
  }
}

/** Long words in base64, and what is packed in them. */
function inlined(bytes: Buffer): Buffer[] {
  const words = bytes.toString('latin1').match(/[A-Za-z0-9+/]{24,}={0,2}/g) ?? [];
  return words.flatMap(word => {
    const decoded = Buffer.from(word, 'base64');
    return [decoded, ...decompressed(decoded)];
  });
}

async function each<T>(list: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const items = list.values();
  const worker = async () => {
    for (const item of items) await work(item);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}
