import type { S3Fault, SeenRequest } from '../../support/s3-fault-server.ts';
import { S3_REFUSALS } from '../../support/s3-refusals.ts';
import { Draw } from '../draw.ts';
import type { Nemesis, Struck } from '../nemesis.ts';
import type { Place } from '../place.ts';

const SHORT_MS = [3000, 10_000] as const;

/** What happens on the way to S3, and with its answers. */
export const objectFaults: readonly Nemesis[] = [
  everywhere('every other request to S3 answered with 503', (_, draw) =>
    draw.number() < 0.5 ? { kind: 'answer', status: 503, code: 'SlowDown' } : undefined,
  ),
  everywhere('every third request to S3 answered with 500', (_, draw) =>
    draw.number() < 0.33 ? { kind: 'answer', status: 500, code: 'InternalError' } : undefined,
  ),
  everywhere('every other request to S3 refused, in all the words that stores have', ({ method }, draw) => {
    const refusal = draw.of(S3_REFUSALS);
    // An answer to GET that begins as a good one is the object.
    const isAnswer = draw.number() < 0.5 && (refusal.status !== 200 || method === 'PUT' || method === 'POST');
    return isAnswer ? { kind: 'answer', ...refusal } : undefined;
  }),
  everywhere('S3 does as told, but says that it failed', (_, draw) =>
    draw.number() < 0.4 ? { kind: 'deny answer', status: 500, code: 'InternalError' } : undefined,
  ),
  everywhere('bytes are changed on their way to S3', ({ method }, draw) =>
    method === 'PUT' && draw.number() < 0.4 ? { kind: 'change request' } : undefined,
  ),
  everywhere('every fifth request to S3 stalls', (_, draw) => (draw.number() < 0.2 ? { kind: 'stall' } : undefined)),
  everywhere('S3 does as told, but answers are lost', (_, draw) =>
    draw.number() < 0.4 ? { kind: 'lose answer' } : undefined,
  ),
  everywhere('requests and answers of S3 cut off in their middle', ({ method }, draw) =>
    draw.number() < 0.4 ? { kind: method === 'PUT' ? 'cut request' : 'cut answer', after: 100 } : undefined,
  ),
  everywhere('S3 away', () => ({ kind: 'answer', status: 503, code: 'ServiceUnavailable' }), [5000, 20_000]),
  everywhere('S3 hangs', () => ({ kind: 'stall' }), [5000, 20_000]),
  {
    name: 'partition of a node from S3',
    track: 'objects',
    lastsMs: [8000, 30_000],
    async inject(rig, pick, _signal, struck) {
      const place = rig.pickPlace(pick);
      befall(place, () => ({ kind: 'stall' }), struck);
      return async () => {
        place.objectFault = () => undefined;
      };
    },
  },
];

function everywhere(
  name: string,
  fault: (request: SeenRequest, draw: Draw) => S3Fault | undefined,
  lastsMs: readonly [number, number] = SHORT_MS,
): Nemesis {
  return {
    name,
    track: 'objects',
    lastsMs,
    async inject(rig, pick, _signal, struck) {
      const draw = new Draw(`${name}/${pick}`);
      for (const place of rig.places) befall(place, request => fault(request, draw), struck);
      return async () => {
        for (const place of rig.places) place.objectFault = () => undefined;
      };
    },
  };
}

function befall(place: Place, fault: (request: SeenRequest) => S3Fault | undefined, struck: Struck): void {
  place.objectFault = request => {
    const befalls = fault(request);
    if (befalls) struck(place, { isStoring: request.method === 'PUT' || request.method === 'POST' });
    return befalls;
  };
}
