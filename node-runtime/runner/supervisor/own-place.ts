import { describeError } from '../../../shared/errors.ts';
import type { Clock } from '../../system/clock.ts';
import type { Isolation } from '../sandbox.ts';
import type { SystemFolders } from './bubblewrap.ts';
import { type Detected, detectIsolation } from './detect-isolation.ts';
import { findRoot } from './find-root.ts';
import { makeFirstPipes } from './pipe-pool.ts';
import { makeOwnFolder, removeTree, spreadOverDisk, sweepDeadNodes } from './sandbox-folders.ts';
import { readSystemFolders } from './system-folders.ts';
import { LOWEST_USER } from './user-block.ts';

export interface PlaceWanted {
  /** The process of the node, which the folder is named after. */
  readonly node: number;
  /** Folder for the folders of all nodes. As root another one is taken when other users cannot get there. */
  readonly root: string;
  readonly isolation: Isolation | 'auto';
  /** Whether commands run as users of their own. */
  readonly ownUsers: boolean;
  readonly tag: number;
}

/** Where the sandboxes of one node are, and how they are made. */
export interface OwnPlace {
  readonly folder: string;
  readonly detected: Detected;
  readonly system: SystemFolders;
  /** Named pipes in it, which nobody has used yet. */
  readonly pipes: readonly string[];
  /** What did not work and can be done without, in sentences. */
  readonly warnings: readonly string[];
}

/**
 * Clears away what dead nodes have left under the same root, and makes the folder of this one. One that fails leaves none.
 * @throws CiError when the isolation that was asked for does not work here
 */
export async function makeOwnPlace(wanted: PlaceWanted, clock: Clock): Promise<OwnPlace> {
  const root = await findRoot(wanted.root, wanted.ownUsers);
  const warnings: string[] = [];
  await sweepDeadNodes(root, clock).catch((error: unknown) =>
    warnings.push(`Cannot clear away what a dead node has left: ${describeError(error)}`),
  );
  const folder = await makeOwnFolder(root, wanted);
  try {
    const pipes = makeFirstPipes(folder);
    const isolation = detect(wanted, folder);
    await Promise.allSettled([pipes, isolation, spreadOverDisk(folder)]); // None is at work in the folder when it is removed.
    return { folder, ...(await isolation), pipes: await pipes, warnings };
  } catch (error) {
    await removeTree(folder);
    throw error;
  }
}

async function detect({ isolation, ownUsers }: PlaceWanted, folder: string) {
  const system = await readSystemFolders(folder);
  return { system, detected: await detectIsolation(isolation, system, ownUsers ? LOWEST_USER : undefined) };
}
