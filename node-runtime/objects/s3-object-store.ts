import { createHash } from 'node:crypto';
import type { _Object, DeleteObjectsCommand } from '@aws-sdk/client-s3';
import { quote } from '../../shared/ids.ts';
import { contentDisposition } from './content-disposition.ts';
import type {
  GetOptions,
  ObjectBody,
  ObjectCall,
  ObjectInfo,
  ObjectStore,
  PresignOptions,
  PutOptions,
} from './object-store.ts';
import { type Request, S3Connection, type S3Object, type S3StoreOptions } from './s3-connection.ts';
import { openDownload, readDownload } from './s3-download.ts';
import { isMissing, NotDeleted, NotOfS3, statusOf } from './s3-error.ts';
import { PART_BYTES, partsOf, slicesOf, uploadInParts } from './s3-upload.ts';
import { untilAborted } from './until-aborted.ts';

/** Up to here an object travels in one request. */
const MOST_AT_ONCE = 2 * PART_BYTES;
const DELETE_AT_ONCE = 1000;

/**
 * Objects in one bucket of any S3: AWS, Ceph, MinIO, Garage. Nothing is asked of it that only some know (no conditional
 * writes, no checksums but the signature's own: SigV4 signs the SHA-256 of each body, which the server checks, so bytes that
 * change on the way up are refused. On the way down, lengths are checked; who needs more has hashes of his own).
 */
export class S3ObjectStore implements ObjectStore {
  readonly #connection: S3Connection;
  readonly #bucket: string;
  readonly #prefix: string;
  #hasSeenBucket = false;

  constructor(options: S3StoreOptions) {
    this.#connection = new S3Connection(options);
    this.#bucket = options.address.bucket;
    this.#prefix = options.address.prefix;
  }

  async put(key: string, body: Uint8Array | AsyncIterable<Uint8Array>, options: PutOptions): Promise<void> {
    const object = this.#connection.object(key);
    options.signal.throwIfAborted();
    if (!(body instanceof Uint8Array)) return this.#putStream(key, body, options);
    if (body.length > MOST_AT_ONCE) return uploadInParts(this.#connection, key, slicesOf(body), options);
    const { contentType } = options;
    const input = { ...object, Body: body, ...(contentType !== undefined && { ContentType: contentType }) };
    await this.#connection.call(`put object ${quote(key)}`, options, async ({ sdk, client, signal }) => {
      const { ETag } = await client.send(new sdk.PutObjectCommand(input), { abortSignal: signal });
      if (ETag === undefined) throw new NotOfS3('it does not say what was stored');
    });
  }

  async get(key: string, options: GetOptions): Promise<ObjectBody | undefined> {
    const { start = 0, end } = options.range ?? {};
    if (end !== undefined && end <= start) return this.#withoutBytes(key, options);
    const object = this.#connection.object(key);
    const download = await this.#connection.call(`read object ${quote(key)}`, options, request =>
      openDownload(request, object, start, end),
    );
    if (download === 'missing') return undefined;
    if (download === 'past its end') return this.#withoutBytes(key, options);
    return { size: download.size, bytes: readDownload(this.#connection, key, download, options) };
  }

  async head(key: string, options: ObjectCall): Promise<ObjectInfo | undefined> {
    const object = this.#connection.object(key);
    const head = await this.#connection.call(`read object ${quote(key)}`, options, request =>
      this.#headOf(object, request).catch(error => {
        if (isMissing(error)) return undefined;
        throw error;
      }),
    );
    this.#hasSeenBucket = true;
    return head && { key, size: head.ContentLength ?? 0, modified: head.LastModified?.getTime() ?? 0 };
  }

  async *list(prefix: string, options: ObjectCall & { readonly after?: string }): AsyncIterable<ObjectInfo> {
    const StartAfter = options.after === undefined ? undefined : this.#prefix + options.after;
    const common = { Bucket: this.#bucket, Prefix: this.#prefix + prefix, EncodingType: 'url' as const };
    let ContinuationToken: string | undefined;
    do {
      const input = { ...common, ...(ContinuationToken === undefined ? { StartAfter } : { ContinuationToken }) };
      const page = await this.#connection.call(`list objects ${quote(prefix)}`, options, ({ sdk, client, signal }) =>
        client.send(new sdk.ListObjectsV2Command(input), { abortSignal: signal }),
      );
      for (const object of page.Contents ?? []) {
        yield this.#infoOf(object);
        options.signal.throwIfAborted();
      }
      ContinuationToken = page.IsTruncated ? page.NextContinuationToken : undefined;
    } while (ContinuationToken !== undefined);
  }

  async deleteMany(keys: readonly string[], options: ObjectCall): Promise<void> {
    const objects = keys.map(key => ({ Key: this.#connection.object(key).Key }));
    for (let start = 0; start < objects.length; start += DELETE_AT_ONCE) {
      const some = objects.slice(start, start + DELETE_AT_ONCE);
      await this.#connection.call(`delete ${some.length} objects`, options, request => this.#deleteSome(some, request));
    }
  }

  async presign(method: 'GET' | 'PUT', key: string, options: PresignOptions): Promise<string> {
    const object = this.#connection.object(key);
    const { contentType, downloadName, expiresSeconds } = options;
    const shown = {
      ...(contentType !== undefined && { ResponseContentType: contentType }),
      ...(downloadName !== undefined && { ResponseContentDisposition: contentDisposition(downloadName) }),
    };
    return this.#connection.call(`sign address of object ${quote(key)}`, options, async ({ sdk, client }) => {
      const { getSignedUrl } = await import('@aws-sdk/s3-request-presigner');
      const how = {
        expiresIn: expiresSeconds,
        signingDate: new Date(this.#connection.clock.now() + client.config.systemClockOffset),
      };
      return method === 'GET'
        ? getSignedUrl(client, new sdk.GetObjectCommand({ ...object, ...shown }), how)
        : getSignedUrl(client, new sdk.PutObjectCommand(object), how);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection.close();
  }

  /** In one request if it turns out to be small, else in parts. */
  async #putStream(key: string, body: AsyncIterable<Uint8Array>, options: PutOptions): Promise<void> {
    const parts = partsOf(untilAborted(body, options.signal));
    const first: Uint8Array[] = [];
    for (let bytes = 0; bytes <= MOST_AT_ONCE; ) {
      const { value, done } = await parts.next();
      if (done) return this.put(key, first.length === 1 ? first[0]! : Buffer.concat(first), options);
      first.push(value);
      bytes += value.length;
    }
    await uploadInParts(this.#connection, key, chained(first, parts), options);
  }

  /** An answer to HEAD has no body, and so no reason: when it matters, the reason is had by asking for a byte. */
  async #headOf(object: S3Object, { sdk, client, signal }: Request) {
    try {
      return await client.send(new sdk.HeadObjectCommand(object), { abortSignal: signal });
    } catch (error) {
      const status = statusOf(error);
      const isClear = status === 404 ? this.#hasSeenBucket : status !== 400 && status !== 403;
      if (isClear) throw error;
      const answer = await client.send(new sdk.GetObjectCommand({ ...object, Range: 'bytes=0-0' }), {
        abortSignal: signal,
      });
      (answer.Body as { destroy?: () => void } | undefined)?.destroy?.();
      throw error;
    }
  }

  async #withoutBytes(key: string, options: ObjectCall): Promise<ObjectBody | undefined> {
    const info = await this.head(key, options);
    return info && { size: info.size, bytes: nothing() };
  }

  /** All of them, or it fails with what was said of the first that was not deleted: trying again deletes the rest. */
  async #deleteSome(objects: { Key: string }[], { sdk, client, signal }: Request): Promise<void> {
    const command = new sdk.DeleteObjectsCommand({ Bucket: this.#bucket, Delete: { Objects: objects, Quiet: true } });
    addContentMd5(command);
    const { Errors = [] } = await client.send(command, { abortSignal: signal });
    const kept = Errors.filter(({ Code }) => Code !== 'NoSuchKey');
    if (kept.length === 0) return;
    const { Key = '', Code = 'UnknownError', Message = Code } = kept[0]!;
    throw new NotDeleted(Code, `${kept.length} of ${objects.length} objects, such as ${quote(Key)}: ${Message}`);
  }

  #infoOf({ Key = '', Size = 0, LastModified }: _Object): ObjectInfo {
    const key = decodeURIComponent(Key.replaceAll('+', ' '));
    return { key: key.slice(this.#prefix.length), size: Size, modified: LastModified?.getTime() ?? 0 };
  }
}

/** Some stores demand it of this one request, as S3 once did, and the SDK no longer sends it. */
function addContentMd5(command: DeleteObjectsCommand): void {
  command.middlewareStack.add(
    next => args => {
      const request = args.request as { headers: Record<string, string>; body: string | Uint8Array };
      request.headers['content-md5'] = createHash('md5').update(request.body).digest('base64');
      return next(args);
    },
    { step: 'build', name: 'addContentMd5' },
  );
}

async function* chained(first: Uint8Array[], rest: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  // Taken out one by one, so that none is kept longer than it takes to store it.
  while (first.length > 0) yield first.shift()!;
  yield* rest;
}

async function* nothing(): AsyncGenerator<Uint8Array> {}
