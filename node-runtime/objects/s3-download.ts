import type { Readable } from 'node:stream';
import type { GetObjectCommandOutput } from '@aws-sdk/client-s3';
import { CiError } from '../../shared/errors.ts';
import { quote } from '../../shared/ids.ts';
import type { ObjectCall } from './object-store.ts';
import { DEFAULT_TIMEOUT_MS, type Request, type S3Connection, type S3Object } from './s3-connection.ts';
import { CutShort, isMissing, NotOfS3, isTransientFailure, statusOf } from './s3-error.ts';

/** Bytes of an object on their way to us. */
export interface Download {
  /** Of the whole object. */
  readonly size: number;
  readonly etag: string | undefined;
  /** Where the bytes begin, and where they end (exclusive). */
  readonly start: number;
  readonly end: number;
  readonly body: Readable;
}

/** Asks for an object from `start` on, up to but without `end` if given. */
export async function openDownload(
  { sdk, client, signal }: Request,
  object: S3Object,
  start: number,
  end: number | undefined,
): Promise<Download | 'missing' | 'past its end'> {
  const isWhole = start === 0 && end === undefined;
  const Range = isWhole ? undefined : `bytes=${start}-${end === undefined ? '' : end - 1}`;
  try {
    const answer = await client.send(new sdk.GetObjectCommand({ ...object, Range }), { abortSignal: signal });
    return checked(describe(answer), object, start);
  } catch (error) {
    if (isMissing(error)) return 'missing';
    if (statusOf(error) === 416) return 'past its end';
    throw error;
  }
}

function describe({ Body, ContentLength, ContentRange, ETag }: GetObjectCommandOutput): Download {
  const range = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(ContentRange ?? '');
  const body = Body as Readable;
  if (range === null) {
    if (ContentLength === undefined) {
      // Nobody could tell whether all of it came.
      body.on('error', () => undefined).destroy();
      throw new NotOfS3('it does not say how long the object is');
    }
    return { size: ContentLength, etag: ETag, start: 0, end: ContentLength, body };
  }
  return { size: Number(range[3]), etag: ETag, start: Number(range[1]), end: Number(range[2]) + 1, body };
}

function checked(download: Download, object: S3Object, start: number): Download {
  // A body that nobody has begun to read may break: that is seen when it is read.
  download.body.on('error', () => undefined);
  if (download.start === start || download.size === 0) return download;
  download.body.destroy();
  throw new CiError('unavailable', `Cannot read object ${quote(object.Key)} as its store does not know ranges`);
}

/**
 * The bytes of a download. When the connection is cut, it goes on at the next byte, for as long as at least one byte comes
 * per `timeoutMs`; time that the reader takes for itself does not count.
 */
export async function* readDownload(
  connection: S3Connection,
  key: string,
  first: Download,
  call: ObjectCall,
): AsyncGenerator<Uint8Array> {
  const { signal, timeoutMs = DEFAULT_TIMEOUT_MS } = call;
  const attempt = `read object ${quote(key)}`;
  let position = first.start;
  let progress = connection.clock.monotonic();
  for (let body = first.body; ; ) {
    try {
      for await (const chunk of body) {
        position += chunk.length;
        yield chunk;
        progress = connection.clock.monotonic();
      }
      if (position >= first.end) return;
      throw new CutShort(`${first.end - position} bytes did not come`);
    } catch (error) {
      signal.throwIfAborted();
      const left = progress + timeoutMs - connection.clock.monotonic();
      if (left <= 0 || !isTransientFailure(error)) throw connection.translate(attempt, error);
      await connection.pause(signal);
      const next = await connection.call(attempt, { signal, timeoutMs: left }, request =>
        openDownload(request, connection.object(key), position, first.end),
      );
      body = sameObject(attempt, first, next).body;
    }
  }
}

function sameObject(attempt: string, first: Download, next: Awaited<ReturnType<typeof openDownload>>): Download {
  if (typeof next !== 'string' && next.etag === first.etag && next.size === first.size) return next;
  if (typeof next !== 'string') next.body.destroy();
  throw new CiError('unavailable', `Cannot ${attempt} as it was changed or deleted meanwhile`);
}
