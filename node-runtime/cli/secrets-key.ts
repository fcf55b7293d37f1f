import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { link, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CiError } from '../../shared/errors.ts';
import { makeFolder } from '../system/make-folder.ts';

/** Reads the key that secrets are sealed with: 32 bytes as they are, in hex, or in base64. */
export async function readSecretsKey(file: string): Promise<Buffer> {
  const refuse = (why: string, cause?: unknown) =>
    new CiError('invalid', `Cannot use the key for secrets as ${why}: ${file}`, { cause });
  const bytes = await readFile(file).catch((error: unknown) => {
    throw refuse('its file cannot be opened', error);
  });
  const text = bytes.toString('latin1').trim();
  const candidates = [
    bytes,
    Buffer.from(text, 'base64'),
    /^[0-9a-f]{64}$/i.test(text) ? Buffer.from(text, 'hex') : bytes,
  ];
  const key = candidates.findLast(candidate => candidate.length === 32);
  if (key) return key;
  throw refuse('it is not 32 bytes, in hex or base64 or as they are; make one with: openssl rand -base64 32');
}

/** The key of this machine's own cluster, made when it is first needed. Of several who make it at once, all get the same. */
export async function ownSecretsKey(file: string): Promise<Buffer> {
  try {
    await makeFolder(dirname(file), 0o700);
    if (!existsSync(file)) await makeKey(file);
  } catch (error) {
    throw new CiError('invalid', `Cannot keep data in this folder: ${dirname(file)}`, { cause: error });
  }
  return readSecretsKey(file);
}

/** Written beside and linked: nobody reads half of it, and nobody's is written over. */
async function makeKey(file: string): Promise<void> {
  const folder = await mkdtemp(`${file}-`);
  const fresh = join(folder, 'key');
  try {
    await writeFile(fresh, randomBytes(32).toString('base64'), { mode: 0o600, flush: true });
    await link(fresh, file).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
