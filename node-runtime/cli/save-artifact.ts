import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Client } from '../../shared/client.ts';
import { CiError } from '../../shared/errors.ts';
import { quote, type TaskId } from '../../shared/ids.ts';
import type { Artifact } from '../../shared/result.ts';
import { makeFolder } from '../system/make-folder.ts';

/** Fetches one artifact into a file. The file is there under its name only when its size and hash are those that were noted. */
export async function saveArtifact(
  client: Client,
  id: TaskId,
  artifact: Artifact,
  file: string,
  signal: AbortSignal,
): Promise<void> {
  const fresh = `${file}.${process.pid}.part`;
  try {
    await makeFolder(dirname(file));
    const mode = artifact.executable ? 0o755 : 0o644;
    await pipeline(downloadChecked(client, id, artifact, signal), createWriteStream(fresh, { mode, flags: 'wx' }), {
      signal,
    });
    await rename(fresh, file);
  } catch (error) {
    await rm(fresh, { force: true });
    throw notSaved(error, file, signal);
  }
}

/** Writes one artifact into something that is there and is no file, such as /dev/null or a pipe: it stays what it is. */
export async function pourArtifact(
  client: Client,
  id: TaskId,
  artifact: Artifact,
  place: string,
  signal: AbortSignal,
): Promise<void> {
  try {
    await pipeline(downloadChecked(client, id, artifact, signal), createWriteStream(place), {
      signal,
    });
  } catch (error) {
    throw notSaved(error, place, signal);
  }
}

/** The bytes of an artifact. Throws after the last one if they are not those that were kept. */
export async function* downloadChecked(
  client: Client,
  id: TaskId,
  artifact: Artifact,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  let size = 0;
  for await (const bytes of client.download(id, artifact.path, signal)) {
    hash.update(bytes);
    size += bytes.length;
    yield bytes;
  }
  check(artifact, size, hash.digest('hex'));
}

function notSaved(error: unknown, place: string, signal: AbortSignal): unknown {
  signal.throwIfAborted();
  if (error instanceof CiError) return error;
  return new CiError('invalid', `Cannot save artifact as its file cannot be written: ${quote(place)}`, {
    cause: error,
  });
}

function check({ path, size, sha256 }: Artifact, gotSize: number, gotHash: string): void {
  const refuse = (why: string) => new CiError('unavailable', `Cannot fetch artifact ${quote(path)} as ${why}`);
  if (gotSize !== size) throw refuse(`it came incomplete: ${gotSize} of ${size} bytes`);
  if (gotHash !== sha256) throw refuse(`its bytes are not those that were kept: SHA-256 is ${gotHash}, not ${sha256}`);
}
