import { type Nemesis, nothingToHeal } from '../nemesis.ts';

/** The disk of the one node that has a small one. */
export const diskFaults: readonly Nemesis[] = [
  {
    name: 'disk of a node full',
    track: 'objects',
    lastsMs: [5000, 20_000],
    whyNot: () => (process.getuid?.() === 0 ? undefined : 'only root can mount a small disk'),
    async inject(rig, _pick, _signal, struck) {
      const place = rig.living.find(({ hasSmallDisk }) => hasSmallDisk);
      if (!place) return nothingToHeal;
      await place.fillDisk();
      struck(place, { isStoring: true });
      return () => place.emptyDisk();
    },
  },
];
