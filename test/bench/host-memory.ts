import { LogFeed } from '../../extension/log-feed.ts';
import type { Client } from '../../shared/client.ts';
import type { LogEvent } from '../../shared/log.ts';
import type { ToPanel } from '../../shared/log-model/panel-messages.ts';
import { heldMemory } from '../support/held-memory.ts';

const BLOCK = 65_536;
/** How often memory is looked at: after so many blocks. */
const LOOK_BLOCKS = 2048;
/** How long a page takes for a batch. */
const PAGE_MS = 2;
const LINE = `${'x'.repeat(99)}\n`;

/**
 * What a log of `size` bytes costs the extension host at most while all of it goes through to a page, and then while all of it is
 * searched, in bytes: what is referred to after a collection of garbage, less what was before. The node is played.
 */
export async function hostMemory(size: number): Promise<number> {
  let most = 0;
  const before = await held();
  async function* blocks(): AsyncGenerator<Buffer> {
    const text = Buffer.from(LINE.repeat(Math.ceil(BLOCK / LINE.length)).slice(0, BLOCK));
    for (let at = 0; at < size; at += BLOCK) {
      if ((at / BLOCK) % LOOK_BLOCKS === 0) most = Math.max(most, (await held()) - before);
      // As from a socket, each is memory of its own.
      yield Buffer.from(text);
      if ((at / BLOCK) % 16 === 0) await new Promise(resolve => setImmediate(resolve));
    }
  }
  async function* log(): AsyncGenerator<LogEvent> {
    yield { kind: 'attempt', fence: 7, attempt: 1, node: 'n1', offset: 0 };
    let offset = 0;
    for await (const bytes of blocks()) {
      yield { kind: 'bytes', offset, time: 1, bytes };
      offset += bytes.length;
    }
  }
  const client: Pick<Client, 'log' | 'rawLog' | typeof Symbol.asyncDispose> = {
    log,
    rawLog: blocks,
    [Symbol.asyncDispose]: async () => undefined,
  };
  const seen = { bytes: 0, searched: false };
  const take = (message: ToPanel) => {
    if (message.type === 'searched') seen.searched = message.problem === undefined;
    if (message.type !== 'events') return;
    for (const event of message.events) if (event.kind === 'bytes') seen.bytes += event.bytes.length;
    setTimeout(() => feed.taken(), PAGE_MS);
  };
  await using feed = new LogFeed(client as Client, 'task', take);
  await new Promise<void>(resolve => feed.start({}, resolve));
  await feed.search(1, 7, { text: 'nothing like it', isRegExp: false, isCaseSensitive: true });
  if (seen.bytes < size || !seen.searched) throw new Error(`Only ${seen.bytes} of ${size} bytes have come`);
  return most;
}

async function held(): Promise<number> {
  const { heapUsed, arrayBuffers } = await heldMemory();
  return heapUsed + arrayBuffers;
}
