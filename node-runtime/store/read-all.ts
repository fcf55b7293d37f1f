import type { Call, Store, StoreRecord } from './store.ts';

const PAGE = 500;

/** All records under a prefix, in key order and at one revision, 500 at a time; `call.timeoutMs` is for each page. */
export async function* readAll(store: Store, prefix: string, call: Call): AsyncGenerator<StoreRecord> {
  let page = await store.range({ prefix, limit: PAGE }, call);
  const { revision } = page;
  for (;;) {
    yield* page.records;
    if (!page.more) return;
    page = await store.range({ prefix, limit: PAGE, revision, after: page.records.at(-1)!.key }, call);
  }
}
