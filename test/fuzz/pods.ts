import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import fc from 'fast-check';
import { isCiError } from '../../shared/errors.ts';
import { receiveFiles } from '../../node-runtime/pods/file-stream.ts';
import { SandboxLost } from '../../node-runtime/runner/sandbox.ts';
import { damaged, edits } from './damaged.ts';
import { type FuzzTarget, pure } from './fuzz-target.ts';
import { rawBytes } from './raw-text.ts';

const MOST_BYTES = 20_000;

const names = fc
  .array(fc.constantFrom('a', 'b', '/', '..', '.', '\u0000', '\n', '\\', 'ä', 'x'.repeat(300)), { maxLength: 6 })
  .map(parts => parts.join(''));
const headers = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ path: names, size: fc.nat(40), executable: fc.boolean() }, { requiredKeys: [] }),
  },
  { weight: 1, arbitrary: fc.record({ path: names, size: fc.oneof(fc.integer(), fc.double()) }) },
  { weight: 1, arbitrary: fc.jsonValue() },
);
const files = fc
  .array(fc.tuple(headers, fc.uint8Array({ maxLength: 40 })), { maxLength: 5 })
  .map(list => Buffer.concat(list.flatMap(([header, bytes]) => [framed(JSON.stringify(header)), bytes])));
const streams = fc.oneof(
  files.map(bytes => Buffer.concat([bytes, framed('{}')])),
  fc.tuple(files, edits).map(([bytes, list]) => Buffer.from(damaged(bytes, list))),
  rawBytes.map(bytes => Buffer.from(bytes)),
);

export const podTargets: readonly FuzzTarget[] = [
  ...pure(
    'pods: whatever is sent as files lies in its folder and takes no more room than it may, or is the fault of the pod',
    200,
    fc.asyncProperty(streams, fc.nat(50), async (bytes, cut) => {
      const folder = mkdtempSync(join(tmpdir(), 'fuzz-pods-'));
      try {
        let room = 0;
        const parts = [bytes.subarray(0, cut), bytes.subarray(cut)].filter(({ length }) => length > 0);
        const grow = async (taken: number) => {
          room = taken;
        };
        await receiveFiles(Readable.from(parts), join(folder, 'in'), MOST_BYTES, { grow, mostFolders: 10 }).catch(
          error => assert.ok(error instanceof SandboxLost || isCiError(error, 'invalid'), String(error)),
        );
        assert.ok(room <= MOST_BYTES);
        assert.ok(readdirSync(folder).every(name => name === 'in'));
      } finally {
        rmSync(folder, { recursive: true });
      }
    }),
  ),
];

function framed(text: string): Buffer {
  const body = Buffer.from(text);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  return Buffer.concat([length, body]);
}
