import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { z } from 'zod';
import { CiError } from '../../shared/errors.ts';
import { quote } from '../../shared/ids.ts';
import { FORMAT_VERSION } from '../../shared/task.ts';
import { readAll } from '../store/read-all.ts';
import { CALL_TIMEOUT_MS, type Cluster } from './cluster.ts';

/**
 * Secrets that tasks may ask for by name. They lie in the coordination store encrypted with AES-256-GCM under a key that is
 * not there: nodes get it from a file. What is stored is bound to the cluster and the name, so that an entry copied to
 * another name does not decrypt.
 */
const SecretRecord = z.looseObject({
  v: z.int().min(1).max(FORMAT_VERSION),
  updated: z.number(),
  /** Base64: 12 bytes that are never used twice, then what was encrypted, then 16 bytes that prove it whole. */
  sealed: z.string(),
});

/** The names that secrets may have; nothing else under `secrets/` is one. */
const SECRET_NAME = /^[A-Z_][A-Z0-9_]{0,99}$/;
const NONCE_BYTES = 12;
const PROOF_BYTES = 16;

/** The content of a key file: 32 bytes in hex or base64. */
export function parseSecretsKey(text: string): Buffer {
  const trimmed = text.trim();
  const key = /^[0-9a-f]{64}$/i.test(trimmed) ? Buffer.from(trimmed, 'hex') : Buffer.from(trimmed, 'base64');
  if (key.length === 32) return key;
  throw new CiError(
    'invalid',
    `Cannot use the secrets key as it is not 32 bytes in base64 or hex: ${key.length} bytes. Make one with: openssl rand -base64 32`,
  );
}

export async function putSecret(
  cluster: Cluster,
  key: Buffer | undefined,
  name: string,
  value: string,
  signal: AbortSignal,
): Promise<void> {
  if (!SECRET_NAME.test(name))
    throw new CiError('invalid', `Cannot set secret as its name is not 1 to 100 of [A-Z0-9_]: ${quote(name)}`);
  if (!key)
    throw new CiError(
      'unavailable',
      'Cannot set secret as this node has no key to encrypt it with: start nodes with --secrets-key FILE, made with: openssl rand -base64 32',
    );
  const record = { v: FORMAT_VERSION, updated: cluster.clock.now(), sealed: seal(cluster, key, name, value) };
  const put = { put: cluster.keys.secret(name), value: JSON.stringify(record) };
  const result = await cluster.store.commit({ when: [], then: [put] }, { signal, timeoutMs: CALL_TIMEOUT_MS });
  if (result.kind === 'ambiguous') throw result.cause;
}

/** Rejects with `not-found` for a name that is not there. */
export async function deleteSecret(cluster: Cluster, name: string, signal: AbortSignal): Promise<void> {
  const key = cluster.keys.secret(name);
  const missing = new CiError('not-found', `Cannot delete secret as there is none of this name: ${quote(name)}`);
  if (!SECRET_NAME.test(name)) throw missing;
  const result = await cluster.store.commit(
    { when: [{ key, exists: true }], then: [{ delete: key }] },
    { signal, timeoutMs: CALL_TIMEOUT_MS },
  );
  if (result.kind === 'ambiguous') throw result.cause;
  if (result.kind === 'refused') throw missing;
}

/** Names only: nothing in the API ever gives a value back. */
export async function listSecrets(cluster: Cluster, signal: AbortSignal): Promise<{ name: string; updated: number }[]> {
  const prefix = cluster.keys.secrets;
  const call = { signal, timeoutMs: CALL_TIMEOUT_MS };
  const records = await Array.fromAsync(readAll(cluster.store, prefix, call));
  return records.flatMap(record => {
    const name = record.key.slice(prefix.length);
    const { updated } = SECRET_NAME.test(name) ? (parse(record.value) ?? {}) : {};
    return updated === undefined ? [] : [{ name, updated }];
  });
}

/**
 * The values of those of the names that exist. Rejects with `unavailable` if this node has no key, or another one than the
 * node that stored them: that is no fault of the task that asks.
 */
export async function readSecrets(
  cluster: Cluster,
  key: Buffer | undefined,
  names: readonly string[],
  signal: AbortSignal,
): Promise<Map<string, string>> {
  const values = new Map<string, string>();
  for (const name of new Set(names)) {
    const call = { signal, timeoutMs: CALL_TIMEOUT_MS };
    if (!SECRET_NAME.test(name)) continue;
    const { records } = await cluster.store.range({ key: cluster.keys.secret(name), limit: 1 }, call);
    const record = records[0] && parse(records[0].value);
    if (record) values.set(name, open(cluster, key, name, record.sealed));
  }
  return values;
}

/** The values of all of the names; besides what `readSecrets` rejects with, `invalid` when some do not exist. */
export async function readAllSecrets(
  cluster: Cluster,
  key: Buffer | undefined,
  names: readonly string[],
  signal: AbortSignal,
): Promise<Map<string, string>> {
  const values = await readSecrets(cluster, key, names, signal);
  const missing = names.filter(name => !values.has(name));
  if (missing.length === 0) return values;
  throw new CiError(
    'invalid',
    `Cannot run the task as it asks for secrets that the cluster does not have: ${missing.join(', ')}`,
  );
}

function seal(cluster: Cluster, key: Buffer, name: string, value: string): string {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(boundTo(cluster, name));
  return Buffer.concat([nonce, cipher.update(value, 'utf8'), cipher.final(), cipher.getAuthTag()]).toString('base64');
}

function open(cluster: Cluster, key: Buffer | undefined, name: string, sealed: string): string {
  if (!key)
    throw new CiError(
      'unavailable',
      `Cannot read secret ${name} as this node has no key: start it with --secrets-key FILE`,
    );
  const bytes = Buffer.from(sealed, 'base64');
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE_BYTES), {
      authTagLength: PROOF_BYTES,
    });
    decipher.setAAD(boundTo(cluster, name)).setAuthTag(bytes.subarray(-PROOF_BYTES));
    const text = decipher.update(bytes.subarray(NONCE_BYTES, -PROOF_BYTES));
    return Buffer.concat([text, decipher.final()]).toString('utf8');
  } catch (error) {
    throw new CiError(
      'unavailable',
      `Cannot read secret ${name} as it was encrypted with another key than this node has`,
      {
        cause: error,
      },
    );
  }
}

function boundTo(cluster: Cluster, name: string): Buffer {
  return Buffer.from(`${cluster.id}\n${name}`);
}

function parse(value: string): z.infer<typeof SecretRecord> | undefined {
  try {
    return SecretRecord.safeParse(JSON.parse(value)).data;
  } catch {
    return undefined;
  }
}
