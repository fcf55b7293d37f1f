import type { CompletedPart } from '@aws-sdk/client-s3';
import { CiError } from '../../shared/errors.ts';
import { quote } from '../../shared/ids.ts';
import { neverAborted } from '../system/clock.ts';
import type { PutOptions } from './object-store.ts';
import type { Request, S3Connection, S3Object, Send } from './s3-connection.ts';
import { codeOf, NotOfS3 } from './s3-error.ts';
import { orAborted, untilAborted } from './until-aborted.ts';

/** S3 takes at least 5 MiB for all but the last part, and at most 10,000 parts: objects of up to 78 GiB. */
export const PART_BYTES = 8 * 1024 * 1024;
const MOST_PARTS = 10_000;
/** With one that is being filled, and the copy made of it, 32 MiB. */
const PARTS_UNDER_WAY = 2;
const ABANDON_MS = 10_000;

/**
 * Uploads an object in parts, each repeated by itself; nothing can be seen before the last step, and what was sent is
 * thrown away when it fails. A process killed meanwhile leaves parts that nobody sees but that take room: a bucket's lifecycle rule
 * "abort incomplete multipart uploads" removes them.
 *
 * Own code rather than lib-storage's: that one retries parts only as the SDK does, and takes the lost answer to the last step
 * for a failure.
 */
export async function uploadInParts(
  connection: S3Connection,
  key: string,
  parts: AsyncIterable<Uint8Array>,
  options: PutOptions,
): Promise<void> {
  const upload = new Upload(connection, key, options);
  const id = await upload.begin();
  try {
    await upload.complete(id, await upload.sendAll(id, parts));
  } catch (error) {
    await upload.abandon(id);
    throw error;
  }
}

interface SentParts {
  readonly parts: CompletedPart[];
  readonly bytes: number;
}

class Upload {
  readonly #connection: S3Connection;
  readonly #object: S3Object;
  readonly #attempt: string;
  readonly #options: PutOptions;

  constructor(connection: S3Connection, key: string, options: PutOptions) {
    this.#connection = connection;
    this.#object = connection.object(key);
    this.#attempt = `put object ${quote(key)}`;
    this.#options = options;
  }

  async begin(): Promise<string> {
    const { contentType } = this.#options;
    const input = { ...this.#object, ...(contentType !== undefined && { ContentType: contentType }) };
    const { UploadId } = await this.#call(({ sdk, client, signal }) =>
      client.send(new sdk.CreateMultipartUploadCommand(input), { abortSignal: signal }),
    );
    if (UploadId === undefined) throw new CiError('unavailable', `Cannot ${this.#attempt} as S3 gave no upload id`);
    return UploadId;
  }

  /** A few at a time; the first that fails ends the others. */
  async sendAll(id: string, parts: AsyncIterable<Uint8Array>): Promise<SentParts> {
    const failed = new AbortController();
    const signal = AbortSignal.any([failed.signal, this.#options.signal]);
    const sent: CompletedPart[] = [];
    const underWay = new Set<Promise<void>>();
    let bytes = 0;
    try {
      for await (const part of untilAborted(parts, signal)) {
        const number = sent.push({});
        if (number > MOST_PARTS)
          throw new CiError(
            'too-large',
            `Cannot ${this.#attempt} as it has more than ${MOST_PARTS * PART_BYTES} bytes`,
          );
        bytes += part.length;
        const sending: Promise<void> = this.#send(id, number, part, signal).then(
          done => {
            sent[number - 1] = done;
            underWay.delete(sending);
          },
          error => failed.abort(error),
        );
        underWay.add(sending);
        if (underWay.size >= PARTS_UNDER_WAY) await orAborted(Promise.race(underWay), signal);
        signal.throwIfAborted();
      }
      await Promise.all(underWay);
      signal.throwIfAborted();
      return { parts: sent, bytes };
    } catch (error) {
      failed.abort(error);
      await Promise.all(underWay);
      throw error;
    }
  }

  /**
   * When the answer to it was lost, trying again finds no upload: it is then complete if the object is there, which has
   * a key of its own and one content.
   */
  async complete(id: string, { parts, bytes }: SentParts): Promise<void> {
    let tries = 0;
    await this.#call(async request => {
      try {
        tries++;
        const input = { ...this.#object, UploadId: id, MultipartUpload: { Parts: parts } };
        await request.client.send(new request.sdk.CompleteMultipartUploadCommand(input), {
          abortSignal: request.signal,
        });
      } catch (error) {
        if (tries === 1 || codeOf(error) !== 'NoSuchUpload' || (await this.#storedBytes(request)) !== bytes)
          throw error;
      }
    });
  }

  /** On a signal of its own, as the call's has probably ended. That it fails is nothing the caller can change. */
  async abandon(id: string): Promise<void> {
    const input = { ...this.#object, UploadId: id };
    const call = { signal: neverAborted, timeoutMs: ABANDON_MS };
    await this.#connection
      .call(this.#attempt, call, ({ sdk, client, signal }) =>
        client.send(new sdk.AbortMultipartUploadCommand(input), { abortSignal: signal }),
      )
      .catch(() => undefined);
  }

  async #send(id: string, number: number, body: Uint8Array, signal: AbortSignal): Promise<CompletedPart> {
    const input = { ...this.#object, UploadId: id, PartNumber: number, Body: body };
    return this.#call(async ({ sdk, client, signal }) => {
      const { ETag } = await client.send(new sdk.UploadPartCommand(input), { abortSignal: signal });
      if (ETag === undefined) throw new NotOfS3('it does not say what was stored');
      return { PartNumber: number, ETag };
    }, signal);
  }

  async #storedBytes({ sdk, client, signal }: Request): Promise<number | undefined> {
    const head = await client.send(new sdk.HeadObjectCommand(this.#object), { abortSignal: signal });
    return head.ContentLength;
  }

  #call<T>(send: Send<T>, signal = this.#options.signal): Promise<T> {
    const { timeoutMs } = this.#options;
    return this.#connection.call(this.#attempt, { signal, ...(timeoutMs !== undefined && { timeoutMs }) }, send);
  }
}

/** Gathers what a stream yields into parts. */
export async function* partsOf(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of stream) {
    for (let rest = chunk; rest.length > 0; ) {
      const taken = rest.subarray(0, PART_BYTES - length);
      rest = rest.subarray(taken.length);
      chunks.push(taken);
      length += taken.length;
      if (length < PART_BYTES) continue;
      yield Buffer.concat(chunks);
      chunks = [];
      length = 0;
    }
  }
  if (length > 0) yield Buffer.concat(chunks);
}

/** Cuts bytes that are in memory into parts, without a copy. */
export async function* slicesOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += PART_BYTES) yield bytes.subarray(start, start + PART_BYTES);
}
