import { access, constants, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { CiError } from '../shared/errors.ts';
import { quote } from '../shared/ids.ts';

/** The users of tasks must get through it to their own folders; what is not theirs in it is closed to them. */
export async function makeDataFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o711 });
    for (const name of ['objects', 'cache']) await mkdir(join(folder, name), { recursive: true, mode: 0o700 });
    await access(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new CiError('invalid', `Cannot start the node as its data folder cannot be written to: ${quote(folder)}`, {
      cause: error,
    });
  }
}
