import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Nemesis } from '../nemesis.ts';
import { SMALL_DISK } from '../place.ts';

const FILLER = 'chaos-filler';

/** The disk of the one node that has a small one. */
export const diskFaults: readonly Nemesis[] = [
  {
    name: 'disk of a node full',
    track: 'objects',
    lastsMs: [5000, 20_000],
    whyNot: () => (process.getuid?.() === 0 ? undefined : 'only root can mount a small disk'),
    async inject(rig) {
      const place = rig.living.find(({ hasSmallDisk }) => hasSmallDisk);
      if (!place) return async () => undefined;
      const { disk } = place;
      const file = join(disk, FILLER);
      await writeFile(file, Buffer.alloc(SMALL_DISK)).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOSPC') throw error;
      });
      // It may have died and taken its disk with it.
      return () => rm(file, { force: true });
    },
  },
];
