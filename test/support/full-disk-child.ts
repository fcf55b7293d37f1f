import { join } from 'node:path';
import { isCiError } from '../../shared/errors.ts';
import { EmbeddedStore } from '../../node-runtime/store/embedded-store.ts';
import { neverAborted, systemClock } from '../../node-runtime/system/clock.ts';

// Run on a small disk of its own: fills the store until it refuses, then tells what still works.
const call = { signal: neverAborted, timeoutMs: 5000 };
await using store = await EmbeddedStore.open({ file: join(process.argv[2]!, 'store.sqlite'), clock: systemClock });
let acknowledged = 0;
let failure: unknown;
while (failure === undefined && acknowledged < 1000) {
  const put = { put: `k${String(acknowledged).padStart(4, '0')}`, value: 'x'.repeat(50_000) };
  await store.commit({ when: [], then: [put] }, call).then(
    () => acknowledged++,
    error => {
      failure = error;
    },
  );
}
const { records } = await store.range({ prefix: 'k', limit: 1000 }, call);
const code = isCiError(failure) ? failure.code : String(failure);
const message = isCiError(failure) ? failure.message : '';
process.stdout.write(JSON.stringify({ acknowledged, stored: records.length, code, message }));
