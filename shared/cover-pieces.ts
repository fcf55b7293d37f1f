import type { LogRange } from './log-piece.ts';

/**
 * Which pieces to read, and in which order, to have every byte from `from` on once, as far as they reach without a gap. Of
 * those that hold the next byte it takes the one that reaches furthest: the covering piece rather than the small ones that
 * may be deleted at any moment.
 */
export function coverPieces<P extends LogRange>(pieces: readonly P[], from: number): P[] {
  const sorted = pieces.toSorted((a, b) => a.start - b.start);
  const chosen: P[] = [];
  let at = from;
  let next = 0;
  for (;;) {
    let best: P | undefined;
    for (; next < sorted.length && sorted[next]!.start <= at; next++) {
      const piece = sorted[next]!;
      if (piece.end > at && piece.end > (best?.end ?? at)) best = piece;
    }
    if (best === undefined) return chosen;
    chosen.push(best);
    at = best.end;
  }
}
