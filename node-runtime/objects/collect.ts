import type { ObjectCall, ObjectStore } from './object-store.ts';

/** All of a small object's bytes; undefined if there is no such object. */
export async function getBytes(objects: ObjectStore, key: string, call: ObjectCall): Promise<Buffer | undefined> {
  const body = await objects.get(key, call);
  return body === undefined ? undefined : Buffer.concat(await Array.fromAsync(body.bytes));
}
