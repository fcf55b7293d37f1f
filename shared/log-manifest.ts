import { z } from 'zod';

const Manifest = z.looseObject({
  v: z.int().min(1),
  /** Of output. */
  bytes: z.number(),
  /** How many newlines. */
  lines: z.number(),
  /** Of all bytes of output, in hex. */
  sha256: z.string(),
  /** One for each MiB, in order, without gap or overlap. */
  pieces: z.array(
    z.looseObject({
      start: z.number(),
      end: z.number(),
      firstLine: z.number(),
      /** When its first and its last bytes were read, in milliseconds since 1970. */
      firstTime: z.number(),
      lastTime: z.number(),
      /** The size of the stored piece. */
      stored: z.number(),
      /** The piece itself in base64, when it is the last one and small: then there is no object of its own. */
      inline: z.string().optional(),
    }),
  ),
  marks: z.array(
    z.object({
      offset: z.number(),
      time: z.number(),
      kind: z.enum(['step-started', 'step-finished', 'note']),
      step: z.int().optional(),
      text: z.string(),
    }),
  ),
});

/** `log.json` of a finished attempt: what its log consists of. It is written last: who sees it can read everything. */
export const LogManifest = Manifest.refine(({ pieces, bytes }) => {
  const ends = pieces.map(({ end }) => end);
  return (
    pieces.every(({ start, end }, at) => start === (ends[at - 1] ?? 0) && end > start) && (ends.at(-1) ?? 0) === bytes
  );
}, 'must have pieces from 0 to its end, without gap or overlap');
export type LogManifest = z.infer<typeof LogManifest>;
export type LogManifestPiece = LogManifest['pieces'][number];

/** The stored form of an inlined piece. */
export function inlinePiece(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), character => character.charCodeAt(0));
}
