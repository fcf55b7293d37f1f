import { z } from 'zod';
import { Role, type TokenView } from '../../shared/api.ts';
import { CiError } from '../../shared/errors.ts';
import { quote } from '../../shared/ids.ts';
import { FORMAT_VERSION } from '../../shared/task.ts';
import { readAll } from '../store/read-all.ts';
import { CALL_TIMEOUT_MS, type Cluster } from './cluster.ts';
import { clusterKeyRecord } from './cluster-key.ts';
import { hashSecret, newTokenText } from './token-text.ts';

/** `tokens/$TOKEN_ID`: what the cluster knows of a token. The secret itself is nowhere but with its holder. */
export const TokenRecord = z.looseObject({
  v: z.int().min(1).max(FORMAT_VERSION),
  name: z.string(),
  role: Role,
  /** SHA-256 of the secret, in hex. */
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  created: z.number(),
  createdBy: z.string(),
  expires: z.number().optional(),
});
export type TokenRecord = z.infer<typeof TokenRecord>;

/** The part of a cluster that tokens need: it is there before the rest. */
export type TokenStore = Pick<Cluster, 'keys' | 'store' | 'clock'>;

export interface NewToken {
  readonly name: string;
  readonly role: Role;
  readonly createdBy: string;
  /** Milliseconds since 1970. Default: never. */
  readonly expires?: number;
}

/** Makes a token. The text in the answer is the only place where its secret will ever be. */
export async function createToken(
  cluster: TokenStore,
  wanted: NewToken,
  signal: AbortSignal,
): Promise<{ token: string; view: TokenView }> {
  const { id, text, record } = draw(cluster, wanted);
  const key = cluster.keys.token(id);
  const result = await cluster.store.commit(
    { when: [{ key, exists: false }], then: [{ put: key, value: JSON.stringify(record) }] },
    { signal, timeoutMs: CALL_TIMEOUT_MS },
  );
  // When the answer was lost the token may exist, but nobody has its secret: making another is safe.
  if (result.kind === 'ambiguous') throw result.cause;
  if (result.kind === 'refused') throw new CiError('conflict', `Cannot create token as its id was just taken: ${id}`);
  return { token: text, view: viewOf(id, record) };
}

/** Undefined for a token that does not exist, and for a record that is not readable as one. */
export async function readToken(
  cluster: TokenStore,
  id: string,
  signal: AbortSignal,
): Promise<TokenRecord | undefined> {
  const call = { signal, timeoutMs: CALL_TIMEOUT_MS };
  const { records } = await cluster.store.range({ key: cluster.keys.token(id), limit: 1 }, call);
  return records[0] && parse(records[0].value);
}

export async function listTokens(cluster: TokenStore, signal: AbortSignal): Promise<TokenView[]> {
  const prefix = cluster.keys.tokens;
  const call = { signal, timeoutMs: CALL_TIMEOUT_MS };
  const records = await Array.fromAsync(readAll(cluster.store, prefix, call));
  return records.flatMap(({ key, value }) => {
    const record = parse(value);
    return record ? [viewOf(key.slice(prefix.length), record)] : [];
  });
}

/** Ends a token. Rejects with `not-found` for one that is not there. */
export async function revokeToken(cluster: TokenStore, id: string, signal: AbortSignal): Promise<void> {
  const key = cluster.keys.token(id);
  const result = await cluster.store.commit(
    { when: [{ key, exists: true }], then: [{ delete: key }] },
    { signal, timeoutMs: CALL_TIMEOUT_MS },
  );
  if (result.kind === 'ambiguous') throw result.cause;
  if (result.kind === 'refused')
    throw new CiError('not-found', `Cannot revoke token as there is none of this id: ${quote(id)}`);
}

/**
 * Makes what access to a cluster begins with, once in its life: the cluster key and one admin token, in one transaction, so
 * that of two nodes that start together only one does it. Answers that token, to be shown once; undefined ever after.
 */
export async function ensureAdminToken(cluster: TokenStore, signal: AbortSignal): Promise<string | undefined> {
  const { keys, store } = cluster;
  const call = { signal, timeoutMs: CALL_TIMEOUT_MS };
  const keyRecord = keys.secret('cluster-key');
  if ((await store.range({ key: keyRecord, limit: 1, keysOnly: true }, call)).records.length > 0) return undefined;
  const { id, text, record } = draw(cluster, { name: 'first admin', role: 'admin', createdBy: 'the first start' });
  const result = await store.commit(
    {
      when: [{ key: keyRecord, exists: false }],
      then: [
        { put: keyRecord, value: clusterKeyRecord(cluster) },
        { put: keys.token(id), value: JSON.stringify(record) },
      ],
    },
    call,
  );
  if (result.kind === 'committed') return text;
  if (result.kind === 'refused') return undefined;
  if (await readToken(cluster, id, signal)) return text;
  throw result.cause;
}

function draw(cluster: TokenStore, wanted: NewToken): { id: string; text: string; record: TokenRecord } {
  const { id, secret, text } = newTokenText(wanted.role);
  return { id, text, record: { v: FORMAT_VERSION, ...wanted, hash: hashSecret(secret), created: cluster.clock.now() } };
}

function viewOf(id: string, { name, role, created, createdBy, expires }: TokenRecord): TokenView {
  return { id, name, role, created, createdBy, ...(expires !== undefined && { expires }) };
}

/** A record that cannot be read opens no door. */
function parse(value: string): TokenRecord | undefined {
  try {
    return TokenRecord.safeParse(JSON.parse(value)).data;
  } catch {
    return undefined;
  }
}
