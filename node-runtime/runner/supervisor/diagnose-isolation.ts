import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeError } from '../../../shared/errors.ts';
import type { Finding } from '../../system/finding.ts';
import type { Isolation } from '../sandbox.ts';
import { detectIsolation } from './detect-isolation.ts';
import { readSystemFolders } from './system-folders.ts';
import { LOWEST_USER } from './user-block.ts';

/** What isolation tasks would get from a node that is started here, for the doctor. */
export async function diagnoseIsolation(wanted: Isolation | 'auto'): Promise<readonly Finding[]> {
  const trialUser = process.getuid?.() === 0 ? LOWEST_USER : undefined;
  const folder = await mkdtemp(join(tmpdir(), 'simple-ci-doctor-'));
  try {
    await chmod(folder, 0o755);
    const { isolation, notice } = await detectIsolation(wanted, await readSystemFolders(folder), trialUser);
    if (isolation === 'bubblewrap') return [{ level: 'ok', what: notice }];
    const advice =
      'Install bubblewrap, and allow unprivileged user namespaces, to keep tasks apart from the node and the machine';
    return [{ level: isolation === 'none' ? 'problem' : 'warning', what: notice, advice }];
  } catch (error) {
    return [
      {
        level: 'problem',
        what: describeError(error),
        advice: 'Leave --isolation at auto, or install what it asks for',
      },
    ];
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
