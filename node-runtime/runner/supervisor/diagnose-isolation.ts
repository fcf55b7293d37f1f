import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Finding } from '../../system/finding.ts';
import type { Isolation } from '../sandbox.ts';
import { detectIsolation } from './detect-isolation.ts';
import { readSystemFolders } from './system-folders.ts';
import { LOWEST_USER } from './user-block.ts';

/** How a node that is started here with this setting would isolate its tasks. Rejects when it would not start. */
export async function diagnoseIsolation(wanted: Isolation | 'auto'): Promise<readonly Finding[]> {
  const folder = await mkdtemp(join(tmpdir(), 'simple-ci-doctor-'));
  try {
    await chmod(folder, 0o711); // The trial runs as another user.
    const isRoot = process.platform === 'linux' && process.getuid?.() === 0;
    const system = await readSystemFolders(folder);
    const { isolation, notice } = await detectIsolation(wanted, system, isRoot ? LOWEST_USER : undefined);
    const advice = 'Install bubblewrap, or use this machine only for tasks that you trust.';
    const seen = { subject: isolation, what: notice };
    return [isolation === 'none' ? { level: 'warning', ...seen, advice } : { level: 'ok', ...seen }];
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
