import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Client } from '../../shared/client.ts';
import { CiError } from '../../shared/errors.ts';
import { quote, type TaskId } from '../../shared/ids.ts';
import type { Artifact } from '../../shared/result.ts';

/** Fetches one artifact into a file. The file is there under its name only when its size and hash are those that were noted. */
export async function saveArtifact(
  client: Client,
  id: TaskId,
  artifact: Artifact,
  file: string,
  signal: AbortSignal,
): Promise<void> {
  const fresh = `${file}.${process.pid}.part`;
  const hash = createHash('sha256');
  let size = 0;
  async function* checked() {
    for await (const bytes of client.download(id, artifact.path, signal)) {
      hash.update(bytes);
      size += bytes.length;
      yield bytes;
    }
  }
  try {
    await mkdir(dirname(file), { recursive: true });
    await pipeline(checked, createWriteStream(fresh, { mode: artifact.executable ? 0o755 : 0o644, flags: 'wx' }), {
      signal,
    });
    check(artifact, size, hash.digest('hex'));
    await rename(fresh, file);
  } catch (error) {
    await rm(fresh, { force: true });
    signal.throwIfAborted();
    if (error instanceof CiError) throw error;
    throw new CiError('invalid', `Cannot save artifact as its file cannot be written: ${quote(file)}`, {
      cause: error,
    });
  }
}

function check({ path, size, sha256 }: Artifact, gotSize: number, gotHash: string): void {
  const refuse = (why: string) => new CiError('unavailable', `Cannot save artifact ${quote(path)} as ${why}`);
  if (gotSize !== size) throw refuse(`it came incomplete: ${gotSize} of ${size} bytes`);
  if (gotHash !== sha256) throw refuse(`its bytes are not those that were kept: SHA-256 is ${gotHash}, not ${sha256}`);
}
