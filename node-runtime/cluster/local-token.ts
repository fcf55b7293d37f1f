import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { neverAborted } from '../system/clock.ts';
import type { Cluster } from './cluster.ts';
import { createToken } from './tokens.ts';

/** An admin token for this machine's own user, kept in the data folder: who can read that folder can read the store in it. */
export async function readLocalToken(
  cluster: Cluster,
  dataDir: string,
  adminToken: string | undefined,
): Promise<string> {
  const file = join(dataDir, `token-${cluster.epoch}`);
  const kept = await readFile(file, 'utf8').catch(() => undefined);
  if (kept) return kept;
  const token =
    adminToken ??
    (await createToken(cluster, { name: 'local', role: 'admin', createdBy: 'this machine' }, neverAborted)).token;
  await writeFile(file, token, { mode: 0o600 });
  return token;
}
