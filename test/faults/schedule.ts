import { Draw } from './draw.ts';

/** Faults of one track never overlap; those of different tracks do. */
export type Track = 'nodes' | 'network' | 'etcd' | 'objects';
export const TRACKS: readonly Track[] = ['nodes', 'network', 'etcd', 'objects'];

/** What the schedule has to know of a nemesis. */
export interface Plannable {
  readonly name: string;
  readonly track: Track;
  /** The shortest and the longest time between its beginning and its healing, in milliseconds. */
  readonly lastsMs: readonly [number, number];
}

export interface Fault {
  readonly at: number;
  readonly track: Track;
  readonly nemesis: string;
  readonly lastsMs: number;
  /** In [0, 1): which node, member or variant. */
  readonly pick: number;
}

/** How many faults come, beside how long they last. */
export interface Density {
  /** No two at once, on whatever track: so each shows what it does alone. */
  readonly oneByOne?: boolean;
  /** So many times longer are the pauses between faults of one track. */
  readonly calm?: number;
}

const FIRST_MS = [1000, 5000] as const;
const PAUSE_MS = [2000, 8000] as const;

/**
 * Which fault comes when, in order of time: a function of its arguments alone. On each track the nemeses come in an order
 * that is drawn anew when all have had their turn, so a long run has them all; one that no longer fits gives way to one that does.
 */
export function planFaults(
  seed: string,
  durationMs: number,
  nemeses: readonly Plannable[],
  { oneByOne = false, calm = 1 }: Density = {},
): Fault[] {
  if (oneByOne) return planTrack(new Draw(`${seed}/all`), durationMs, nemeses, calm);
  const planned = TRACKS.flatMap(track =>
    planTrack(
      new Draw(`${seed}/${track}`),
      durationMs,
      nemeses.filter(nemesis => nemesis.track === track),
      calm,
    ),
  );
  return planned.sort((a, b) => a.at - b.at);
}

function planTrack(draw: Draw, durationMs: number, nemeses: readonly Plannable[], calm: number): Fault[] {
  const faults: Fault[] = [];
  let deck: Plannable[] = [];
  for (let at = draw.between(...FIRST_MS); ; ) {
    const fits = ({ lastsMs }: Plannable) => at + lastsMs[0] <= durationMs;
    if (!deck.some(fits)) deck = draw.shuffled(nemeses);
    const next = deck.find(fits);
    if (!next) return faults;
    deck.splice(deck.indexOf(next), 1);
    const lastsMs = Math.round(Math.min(draw.between(...next.lastsMs), durationMs - at));
    faults.push({ at: Math.round(at), track: next.track, nemesis: next.name, lastsMs, pick: draw.number() });
    at += lastsMs + calm * draw.between(...PAUSE_MS);
  }
}

/** For people, one line a fault. */
export function formatFault({ at, nemesis, lastsMs, pick }: Fault): string {
  return `${seconds(at).padStart(7)}  ${nemesis}, for ${seconds(lastsMs)}, pick ${pick.toFixed(2)}`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
