import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LogProgress } from '../../shared/client/log-progress.ts';
import type { Incoming } from '../../shared/client/subscription.ts';
import type { LogEvent } from '../../shared/log.ts';

/** What an attempt of that text says, a byte at a time, with a mark before each x. */
function script(fence: number, text: string): Incoming[] {
  const said: Incoming[] = [{ type: 'attempt', id: 1, fence, attempt: fence, node: 'n', offset: 0 }];
  for (const [offset, character] of [...text].entries()) {
    if (character === 'x') said.push({ type: 'mark', id: 1, mark: { offset, time: 0, kind: 'note', text: 'x' } });
    said.push({ type: 'bytes', offset, time: 0, bytes: Buffer.from(character) });
  }
  return [...said, { type: 'attempt-end', id: 1, offset: text.length, reason: 'lost' }];
}

/** What a node says to a reader who goes on at that position: the attempt, and all from the position on. */
function from(all: readonly Incoming[][], at: { fence: number; offset: number } | undefined): Incoming[] {
  const rest = all.slice(at ? at.fence - 1 : 0);
  const first = rest[0]!.flatMap((message): Incoming[] => {
    const offset = at?.offset ?? 0;
    if (message.type === 'attempt') return [{ ...message, offset }];
    if (message.type === 'bytes') return message.offset >= offset ? [message] : [];
    return message.type === 'mark' && message.mark.offset < offset ? [] : [message];
  });
  return [...first, ...rest.slice(1).flat()];
}

const plain = (event: LogEvent) => JSON.stringify(event);

test('wherever connections break, a reader is told all of a log once and in order', () => {
  const texts = fc.array(fc.string({ unit: fc.constantFrom('x', 'y'), maxLength: 8 }), { minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(texts, fc.array(fc.nat(12), { maxLength: 20 }), (attempts, breaks) => {
      const all = attempts.map((text, index) => script(index + 1, text));
      const whole = new LogProgress(undefined, false);
      const expected = all.flat().flatMap(message => whole.accept(message) ?? []);

      const broken = new LogProgress(undefined, false);
      const told: LogEvent[] = [];
      for (const length of [...breaks, Number.POSITIVE_INFINITY]) {
        broken.resume();
        const heard = from(all, broken.position).slice(0, length);
        told.push(...heard.flatMap(message => broken.accept(message) ?? []));
      }
      assert.deepEqual(told.map(plain), expected.map(plain));
    }),
    { numRuns: 500 },
  );
});

test('bytes that are missing are noticed, also before the end', () => {
  const progress = new LogProgress({ fence: 1, offset: 5 }, false);
  assert.throws(() => progress.accept({ type: 'bytes', offset: 6, time: 0, bytes: Buffer.from('a') }));
  assert.throws(() => progress.accept({ type: 'attempt-end', id: 1, offset: 9, reason: 'finished' }));
});
