import { type Cut, whyNoNetworkNamespace } from '../../support/network-namespace.ts';
import { type Nemesis, nothingToHeal } from '../nemesis.ts';

const SHORT_MS = [4000, 12_000] as const;
const LONG_MS = [36_000, 50_000] as const;

/** The one node that has a network of its own, cut off from everything at once: etcd, S3, the other nodes and its users. */
export const namespaceFaults: readonly Nemesis[] = [
  isolation('a node without network', 'both ways', SHORT_MS),
  isolation('a node without network, longer than the TTL', 'both ways', LONG_MS),
  isolation('a node that hears nothing from the network', 'what comes in', SHORT_MS),
  isolation('the network link of a node down', 'link down', SHORT_MS),
];

function isolation(name: string, how: Cut, lastsMs: readonly [number, number]): Nemesis {
  return {
    name,
    track: 'network',
    lastsMs,
    whyNot: whyNoNetworkNamespace,
    async inject({ network, living }, _pick, _signal, struck) {
      if (!network) return nothingToHeal;
      await network.cut(how);
      const place = living.find(each => each.network);
      if (place) struck(place, { isStoring: true });
      return () => network.mend();
    },
  };
}
