import { type CiError, describeError, isCiError } from '../../shared/errors.ts';
import type { Chance } from '../system/chance.ts';
import { type Clock, deadline } from '../system/clock.ts';
import type { Finding } from '../system/finding.ts';
import { getBytes } from './collect.ts';
import type { ObjectCall, ObjectStore } from './object-store.ts';

export interface ObjectDiagnosis {
  readonly clock: Clock;
  readonly chance: Chance;
  readonly signal: AbortSignal;
  /** Whether anyone serves the addresses that the store signs: those of a directory store work only while its node runs. */
  readonly tryAddresses: boolean;
}

const BYTES = Buffer.from('Simple CI looks whether this object store works. This object may be deleted.\n');
/** Short, as someone is waiting: what does not work at once is worth a word. */
const TIMEOUT_MS = 10_000;
const SLOW_MS = 1000;
/** S3 refuses requests of clocks that are off by 15 minutes. */
const CLOCK_WARNING_MS = 60_000;

/** Tries everything that a node needs of its object store, on an object of its own that is deleted afterwards. */
export async function diagnoseObjects(objects: ObjectStore, diagnosis: ObjectDiagnosis): Promise<readonly Finding[]> {
  const key = `doctor/${diagnosis.chance.word(16)}`;
  const examination = new Examination(objects, diagnosis, key);
  if (!(await examination.put())) return examination.findings;
  try {
    await examination.read();
    await examination.readRange();
    await examination.readMissing();
    await examination.list();
    if (diagnosis.tryAddresses) {
      await examination.addresses();
      await examination.browsers();
    }
  } finally {
    await examination.delete();
  }
  return examination.findings;
}

class Examination {
  readonly findings: Finding[] = [];
  readonly #objects: ObjectStore;
  readonly #diagnosis: ObjectDiagnosis;
  readonly #key: string;
  readonly #call: ObjectCall;

  constructor(objects: ObjectStore, diagnosis: ObjectDiagnosis, key: string) {
    this.#objects = objects;
    this.#diagnosis = diagnosis;
    this.#key = key;
    this.#call = { signal: diagnosis.signal, timeoutMs: TIMEOUT_MS };
  }

  put(): Promise<boolean> {
    return this.#examine('write', () => this.#objects.put(this.#key, BYTES, this.#call));
  }

  async read(): Promise<void> {
    await this.#examine('read', async () => {
      expectSame(await getBytes(this.#objects, this.#key, this.#call), BYTES);
    });
  }

  async readRange(): Promise<void> {
    await this.#examine('read a part', async () => {
      const body = await this.#objects.get(this.#key, { ...this.#call, range: { start: 7, end: 12 } });
      expectSame(body && Buffer.concat(await Array.fromAsync(body.bytes)), BYTES.subarray(7, 12));
    });
  }

  /** Without the right to list, S3 says "forbidden" where it should say "no such object". */
  async readMissing(): Promise<void> {
    await this.#examine('look up', async () => {
      if ((await this.#objects.head(`${this.#key}-missing`, this.#call)) !== undefined)
        throw new Error('An object that does not exist was found');
    });
  }

  async list(): Promise<void> {
    await this.#examine('list', async () => {
      const [info] = await Array.fromAsync(this.#objects.list(this.#key, this.#call));
      if (info?.key !== this.#key) throw new Error('The object is not in the list');
      this.#compareClocks(info.modified);
    });
  }

  async addresses(): Promise<void> {
    await this.#examine('signed write', async () => {
      const url = await this.#objects.presign('PUT', this.#key, { ...this.#call, expiresSeconds: 60 });
      expectOk(await this.#fetch(url, { method: 'PUT', body: BYTES }));
    });
    await this.#examine('signed read', async () => {
      const url = await this.#objects.presign('GET', this.#key, { ...this.#call, expiresSeconds: 60 });
      const answer = await this.#fetch(url, {});
      expectOk(answer);
      expectSame(Buffer.from(await answer.arrayBuffer()), BYTES);
    });
  }

  /** What a page of another site would be told that wants to fetch an artifact by its signed address. */
  async browsers(): Promise<void> {
    const url = await this.#objects.presign('GET', this.#key, { ...this.#call, expiresSeconds: 60 });
    const headers = { origin: 'https://simple-ci.example', 'access-control-request-method': 'GET' };
    const answer = await this.#fetch(url, { method: 'OPTIONS', headers }).catch(() => undefined);
    this.#diagnosis.signal.throwIfAborted();
    const allowed = answer?.headers.get('access-control-allow-origin') ?? undefined;
    const seen = { level: 'ok', subject: 'browsers' } as const;
    const advice = 'Only web pages of your own that fetch artifacts need a CORS rule.';
    this.findings.push(
      allowed === undefined
        ? { ...seen, what: 'Pages of other sites may not fetch artifacts (CORS)', advice }
        : { ...seen, what: `Pages of ${allowed} may fetch artifacts (CORS)` },
    );
  }

  async delete(): Promise<void> {
    await this.#examine('delete', () => this.#objects.deleteMany([this.#key], this.#call));
  }

  async #fetch(url: string, request: RequestInit): Promise<Response> {
    using limit = deadline(this.#diagnosis.clock, TIMEOUT_MS, this.#diagnosis.signal);
    return await fetch(url, { ...request, signal: limit.signal });
  }

  async #examine(subject: string, examine: () => Promise<void>): Promise<boolean> {
    const { clock, signal } = this.#diagnosis;
    const began = clock.monotonic();
    try {
      await examine();
    } catch (error) {
      signal.throwIfAborted();
      this.findings.push(problem(subject, error));
      return false;
    }
    const ms = Math.round(clock.monotonic() - began);
    this.findings.push(
      ms < SLOW_MS
        ? { level: 'ok', subject, what: `${ms} ms` }
        : { level: 'warning', subject, what: `Slow: ${ms} ms`, advice: 'Logs and artifacts will be late.' },
    );
    return true;
  }

  #compareClocks(modified: number): void {
    const ahead = this.#diagnosis.clock.now() - modified;
    const seconds = Math.max(1, Math.round(Math.abs(ahead) / 1000));
    const what = `This machine's is ${seconds} s ${ahead > 0 ? 'ahead of' : 'behind'} the store's`;
    const advice = 'Set it by NTP: signed addresses end too early or too late, and S3 refuses more than 15 minutes.';
    this.findings.push(
      Math.abs(ahead) < CLOCK_WARNING_MS
        ? { level: 'ok', subject: 'clock', what: `Within ${seconds} s of this machine's` }
        : { level: 'warning', subject: 'clock', what, advice },
    );
  }
}

function problem(subject: string, error: unknown): Finding {
  const advice = isCiError(error) ? ADVICE[error.code] : undefined;
  return { level: 'problem', subject, what: describeError(error), ...(advice !== undefined && { advice }) };
}

const ADVICE: Partial<Record<CiError['code'], string>> = {
  unauthenticated: 'Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the profile in ~/.aws.',
  forbidden:
    'Grant s3:GetObject, s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload and s3:ListBucket on the bucket.',
  'not-found': 'Create the bucket, or name another in --s3.',
  unavailable: 'Check the endpoint in --s3, the network to it, and its own state.',
};

function expectSame(actual: Uint8Array | undefined, expected: Uint8Array): void {
  if (actual === undefined) throw new Error('The object is not there');
  if (!Buffer.from(actual).equals(expected)) throw new Error('Other bytes came back');
}

function expectOk(answer: Response): void {
  if (!answer.ok) throw new Error(`It was answered with status ${answer.status}`);
}
