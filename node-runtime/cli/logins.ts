import { chmod, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { CiError } from '../../shared/errors.ts';
import { makeFolder } from '../system/make-folder.ts';

/** The clusters a person has logged in to, and the one that commands without an address mean. */
export const Logins = z.looseObject({
  v: z.literal(1),
  active: z.string().optional(),
  clusters: z.array(
    z.looseObject({
      cluster: z.string(),
      urls: z.array(z.url()).min(1),
      token: z.string(),
      added: z.number(),
      /** The token may go to these addresses over plain http: it was said when logging in. */
      insecureHttp: z.boolean().optional(),
    }),
  ),
});
export type Logins = z.infer<typeof Logins>;
export type Login = Logins['clusters'][number];

const NONE: Logins = { v: 1, clusters: [] };

export function loginsFile(configFolder: string): string {
  return join(configFolder, 'logins.json');
}

/** Rejects with `invalid` for a file that is there and cannot be understood. */
export async function readLogins(configFolder: string): Promise<Logins> {
  const file = loginsFile(configFolder);
  const refuse = (why: string, cause?: unknown) =>
    new CiError('invalid', `Cannot read logins as ${why}: ${file}`, { cause });
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return NONE;
    throw refuse('the file cannot be opened', error);
  }
  const parsed = Logins.safeParse(parseJson(text));
  if (!parsed.success) throw refuse('the file is damaged; delete it and log in again');
  return parsed.data;
}

/** For nobody but the user to read; whole or not at all. */
export async function writeLogins(configFolder: string, logins: Logins): Promise<void> {
  const file = loginsFile(configFolder);
  const fresh = `${file}.${process.pid}`;
  try {
    await makeFolder(configFolder, 0o700);
    await writeFile(fresh, `${JSON.stringify(logins, null, 2)}\n`, { mode: 0o600, flush: true });
    await chmod(fresh, 0o600);
    await rename(fresh, file);
  } catch (error) {
    await rm(fresh, { force: true });
    throw new CiError('invalid', `Cannot keep the login as its file cannot be written: ${file}`, { cause: error });
  }
}

/** The login is the active one from now on, and replaces an older one to the same cluster. */
export function withLogin(logins: Logins, login: Login): Logins {
  const others = logins.clusters.filter(one => one.cluster !== login.cluster);
  return { ...logins, active: login.cluster, clusters: [...others, login] };
}

export function withoutLogin(logins: Logins, cluster: string): Logins {
  const { active, ...rest } = logins;
  const clusters = logins.clusters.filter(one => one.cluster !== cluster);
  const next = active === cluster ? clusters[0]?.cluster : active;
  return { ...rest, ...(next !== undefined && { active: next }), clusters };
}

export function activeLogin(logins: Logins): Login | undefined {
  return logins.clusters.find(one => one.cluster === logins.active);
}

export function findLogin(logins: Logins, cluster: string): Login {
  const found = logins.clusters.find(one => one.cluster === cluster);
  if (found) return found;
  const known = logins.clusters.map(one => one.cluster).join(', ') || 'none';
  throw new CiError('not-found', `Cannot find a login to cluster "${cluster}": there is ${known}`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
