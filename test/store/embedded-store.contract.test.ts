import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EmbeddedStore } from '../../node-runtime/store/embedded-store.ts';
import { systemClock } from '../../node-runtime/system/clock.ts';
import { type StoreFixture, storeContract } from '../contracts/store-contract.ts';
import { until } from '../support/until.ts';

const HISTORY = 7000;

async function createFixture(): Promise<StoreFixture> {
  const dir = mkdtempSync(join(tmpdir(), 'simple-ci-store-'));
  const file = join(dir, 'store.sqlite');
  const store = await EmbeddedStore.open({ file, clock: systemClock, historyLength: HISTORY });
  const call = { signal: new AbortController().signal, timeoutMs: 30_000 };
  return {
    address: { kind: 'embedded', file },
    store,
    // It drops by itself what is far enough back.
    compact: revision =>
      until('history is dropped', async () => {
        const writes = Array.from({ length: 200 }, () =>
          store.commit({ when: [], then: [{ put: 'filler', value: '' }] }, call),
        );
        await Promise.all(writes);
        return store.range({ prefix: 'filler', limit: 1, revision: revision - 1 }, call).then(
          () => false,
          () => true,
        );
      }),
    faults: { none: 'no network lies between: SQLite answers in the same thread, or the process has ended' },
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      rmSync(dir, { recursive: true });
    },
  };
}

storeContract('EmbeddedStore', () => true, createFixture);
