import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';
import { CiError } from '../shared/errors.ts';
import { quote } from '../shared/ids.ts';
import { makeFolder } from './system/make-folder.ts';

/** The users of tasks must get through it to their own folders; what is not theirs in it is closed to them. */
export async function makeDataFolder(folder: string): Promise<void> {
  try {
    await makeFolder(folder, 0o711);
    for (const name of ['objects', 'cache']) await makeFolder(join(folder, name), 0o700);
    await access(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new CiError('invalid', `Cannot start the node as its data folder cannot be written to: ${quote(folder)}`, {
      cause: error,
    });
  }
}
