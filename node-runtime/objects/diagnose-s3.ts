import { describeError, isCiError } from '../../shared/errors.ts';
import type { Clock } from '../system/clock.ts';
import type { Finding } from '../system/finding.ts';
import type { ObjectDiagnosis } from './diagnose-objects.ts';
import { S3Connection, type S3StoreOptions, type Send } from './s3-connection.ts';
import { codeOf, statusOf } from './s3-error.ts';

const TIMEOUT_MS = 10_000;
const BYTES = Buffer.from('Simple CI looks how this S3 behaves. This object may be deleted.\n');
/** How the SDK marks credentials that it got from the machine it runs on. */
const OF_THE_MACHINE = ['CREDENTIALS_IMDS', 'CREDENTIALS_HTTP'];
const WHENCE: readonly (readonly [string, string])[] = [
  ['CREDENTIALS_ENV_VARS', 'From variables'],
  ['CREDENTIALS_PROFILE', 'From a profile'],
];

/**
 * Looks at what only S3 has, besides what every object store does: where its credentials come from, uploads in parts, and how the
 * bucket is set up, as far as these credentials may see that. Leaves nothing behind.
 */
export async function diagnoseS3(options: S3StoreOptions, diagnosis: ObjectDiagnosis): Promise<readonly Finding[]> {
  const connection = new S3Connection(options);
  try {
    const examination = new S3Examination(connection, diagnosis);
    return [
      await examination.credentials(),
      await examination.parts(),
      await examination.conditions(),
      await examination.lifecycle(),
      await examination.versioning(),
    ].filter(finding => finding !== undefined);
  } finally {
    await connection.close();
  }
}

class S3Examination {
  readonly #connection: S3Connection;
  readonly #diagnosis: ObjectDiagnosis;
  readonly #clock: Clock;

  constructor(connection: S3Connection, diagnosis: ObjectDiagnosis) {
    this.#connection = connection;
    this.#diagnosis = diagnosis;
    this.#clock = diagnosis.clock;
  }

  credentials(): Promise<Finding | undefined> {
    return this.#look('credentials', async ({ client }) => {
      const { $source: source = {} } = (await client.config.credentials()) as { $source?: Record<string, string> };
      const isOfMachine = OF_THE_MACHINE.some(name => name in source);
      const whence = WHENCE.find(([name]) => name in source)?.[1] ?? 'Given to this node';
      if (!isOfMachine) return { level: 'ok', what: whence };
      return {
        level: 'warning',
        what: 'They are those of the machine, which tasks can ask for too',
        advice: 'Give static ones, or keep tasks from the metadata address 169.254.169.254.',
      };
    });
  }

  /** An upload in parts that is given up, as it happens when a task ends while its artifacts are stored. */
  parts(): Promise<Finding | undefined> {
    return this.#look('multipart', async ({ sdk, client, signal }) => {
      const object = this.#ownObject();
      const began = this.#clock.monotonic();
      const { UploadId } = await client.send(new sdk.CreateMultipartUploadCommand(object), { abortSignal: signal });
      const upload = { ...object, UploadId };
      try {
        const part = new sdk.UploadPartCommand({ ...upload, PartNumber: 1, Body: BYTES });
        await client.send(part, { abortSignal: signal });
      } finally {
        await client.send(new sdk.AbortMultipartUploadCommand(upload), { abortSignal: signal });
      }
      const ms = Math.round(this.#clock.monotonic() - began);
      const isGone = await client.send(new sdk.ListPartsCommand(upload), { abortSignal: signal }).then(
        () => false,
        error => statusOf(error) === 404 || undefined,
      );
      if (isGone === false) throw new Error('An upload that was given up is still there');
      return { level: 'ok', what: `Begun and given up${isGone ? ', nothing is left' : ''}: ${ms} ms` };
    });
  }

  conditions(): Promise<Finding | undefined> {
    return this.#look('conditions', async request => {
      const object = this.#ownObject();
      const put = (condition: object) =>
        request.client.send(new request.sdk.PutObjectCommand({ ...object, ...condition, Body: BYTES }), {
          abortSignal: request.signal,
        });
      try {
        await put({});
        const answer = await put({ IfNoneMatch: '*' }).then(() => 'ignored' as const, answerTo);
        return { level: 'ok', what: CONDITIONS[answer] };
      } finally {
        await request.client
          .send(new request.sdk.DeleteObjectCommand(object), { abortSignal: request.signal })
          .catch(() => undefined);
      }
    });
  }

  lifecycle(): Promise<Finding | undefined> {
    return this.#look('lifecycle', async ({ sdk, client, signal }) => {
      const { bucket: Bucket, prefix } = this.#connection.address;
      const command = new sdk.GetBucketLifecycleConfigurationCommand({ Bucket });
      const answer = await client.send(command, { abortSignal: signal }).catch((error: unknown) => {
        if (codeOf(error) === 'NoSuchLifecycleConfiguration') return undefined;
        throw error;
      });
      const rule = answer?.Rules?.find(
        ({ Status, Filter, Prefix = '', AbortIncompleteMultipartUpload }) =>
          Status === 'Enabled' && AbortIncompleteMultipartUpload && prefix.startsWith(Filter?.Prefix ?? Prefix),
      );
      const days = rule?.AbortIncompleteMultipartUpload?.DaysAfterInitiation;
      if (days !== undefined) return { level: 'ok', what: `Abandoned uploads end after ${days} d` };
      return {
        level: 'warning',
        what: 'No rule ends abandoned uploads: they are unseen, and paid for',
        advice: 'Add AbortIncompleteMultipartUpload, as in docs/operations.md.',
      };
    });
  }

  versioning(): Promise<Finding | undefined> {
    return this.#look('versions', async ({ sdk, client, signal }) => {
      const { bucket: Bucket } = this.#connection.address;
      const { Status } = await client.send(new sdk.GetBucketVersioningCommand({ Bucket }), { abortSignal: signal });
      if (Status !== 'Enabled') return { level: 'ok', what: 'Not kept' };
      return {
        level: 'warning',
        what: 'Kept, so that what is deleted stays: pieces of logs are, all the time',
        advice: 'Suspend versioning, or end old versions soon by a lifecycle rule.',
      };
    });
  }

  /** What may not be looked at, or is not known to this S3, is not found wanting. */
  async #look(subject: string, send: Send<Omit<Finding, 'subject'>>): Promise<Finding | undefined> {
    const { signal } = this.#diagnosis;
    try {
      const seen = await this.#connection.call(`look at ${subject}`, { signal, timeoutMs: TIMEOUT_MS }, send);
      return { subject, ...seen };
    } catch (error) {
      signal.throwIfAborted();
      if (OPTIONAL.has(subject)) return undefined;
      const advice = isCiError(error, 'forbidden') ? 'Grant s3:AbortMultipartUpload and s3:PutObject.' : undefined;
      return { level: 'problem', subject, what: describeError(error), ...(advice && { advice }) };
    }
  }

  #ownObject() {
    return this.#connection.object(`doctor/${this.#diagnosis.chance.word(16)}`);
  }
}

const OPTIONAL = new Set(['conditions', 'lifecycle', 'versions']);

const CONDITIONS = {
  kept: 'Kept (If-None-Match)',
  ignored: 'Ignored (If-None-Match); they are not needed',
  unknown: 'Not known to it (If-None-Match); they are not needed',
} as const;

/** Some S3s do not know conditions, and refuse what has one. */
function answerTo(error: unknown): keyof typeof CONDITIONS {
  const status = statusOf(error);
  if (status === 412) return 'kept';
  if (status === 400 || status === 501) return 'unknown';
  throw error;
}
