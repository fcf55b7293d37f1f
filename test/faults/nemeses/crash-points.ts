import { type Heal, type Nemesis, secondPick, type Struck } from '../nemesis.ts';
import type { Place } from '../place.ts';
import type { Rig } from '../rig.ts';
import { revive, send } from './node-faults.ts';

/** Something that a node says on the wire, by which it can be met at that moment. */
interface Moment {
  readonly name: string;
  readonly etcd?: (text: string) => boolean;
  readonly object?: RegExp;
  /** It comes by only when a node drains: one is told to. */
  readonly ofDrain?: true;
}

/**
 * Where a node can die in the middle of a move. The seam is the wire: the proxies see every request, in plain HTTP/2 to etcd
 * and HTTP to S3, so the product needs no crash points of its own.
 */
const MOMENTS: readonly Moment[] = [
  {
    name: 'SUBMIT',
    etcd: text => text.includes('"submitter":"') && !text.includes('"nonce":"') && !isCompletion(text),
  },
  { name: 'CLAIM', etcd: text => text.includes('"nonce":"') },
  { name: 'COMPLETE', etcd: isCompletion },
  {
    name: 'RELEASE',
    ofDrain: true,
    etcd: text => text.includes('"past":[{') && !text.includes('"nonce":"') && !isCompletion(text),
  },
  { name: 'storing a piece of a log', object: /\/log\// },
  { name: 'storing the list of a log', object: /\/log\.json/ },
  { name: 'storing an artifact', object: /\/artifacts\// },
  { name: 'storing the list of artifacts', object: /\/artifacts\.json/ },
];

/** `before`: etcd or S3 never hears of it. `after`: it is done, and nobody is there to be told. */
const SIDES = ['before', 'after'] as const;
type Side = (typeof SIDES)[number];

export const crashPoints: readonly Nemesis[] = MOMENTS.flatMap(moment =>
  SIDES.map(side => ({
    name: `kill -9 ${side} ${moment.name}`,
    track: 'nodes' as const,
    lastsMs: [6000, 12_000] as const,
    inject: (rig: Rig, pick: number, signal: AbortSignal, struck: Struck) =>
      lieInWait({ rig, moment, side, struck }, pick, signal),
  })),
);

export function isCompletion(text: string): boolean {
  return text.includes('"outcome":"') && text.includes('/completed/');
}

interface Ambush {
  readonly rig: Rig;
  readonly moment: Moment;
  readonly side: Side;
  readonly struck: Struck;
}

/** Shoots the first node that comes by: mostly it alone, sometimes it and its supervisor. */
async function lieInWait({ rig, moment, side, struck }: Ambush, pick: number, signal: AbortSignal): Promise<Heal> {
  const supervisors = new Map<Place, number | undefined>();
  if (pick < 0.3) for (const place of rig.living) supervisors.set(place, await place.supervisor());
  let shot: Place | undefined;
  const shoot = (place: Place) => {
    if (shot) return;
    shot = place;
    struck(place);
    disarm(rig);
    void rig.kill(place);
    send(supervisors.get(place), 'SIGKILL');
  };
  const told = moment.ofDrain && rig.pickPlace(secondPick(pick));
  for (const place of told ? [told] : rig.living) arm(place, moment, side, shoot);
  const drained = told && rig.drain(told, signal);
  drained?.catch(() => undefined); // It is awaited when this is healed.
  return async healing => {
    await drained;
    disarm(rig);
    const gone = shot ?? told;
    if (gone) await revive(rig, gone, secondPick(pick))(healing);
  };
}

function arm(place: Place, { etcd, object }: Moment, side: Side, shoot: (place: Place) => void): void {
  const isThere = (text: string) => etcd?.(text) === true;
  for (const way of place.ways)
    way.trap = bytes => {
      if (!isThere(bytes.toString('latin1'))) return 'pass';
      shootOn(side, place, shoot);
      return side === 'before' ? 'hold' : 'mute';
    };
  place.objectTrap = ({ method, url }) => {
    if (method !== 'PUT' || !object?.test(url)) return undefined;
    shootOn(side, place, shoot);
    return side === 'before' ? { kind: 'stall' } : { kind: 'lose answer' };
  };
}

/** What has been passed on needs a moment to get there; no answer comes back meanwhile. */
function shootOn(side: Side, place: Place, shoot: (place: Place) => void): void {
  if (side === 'before') shoot(place);
  else setTimeout(() => shoot(place), 100);
}

function disarm(rig: Rig): void {
  for (const place of rig.places) {
    for (const way of place.ways) way.trap = undefined;
    place.objectTrap = () => undefined;
  }
}
