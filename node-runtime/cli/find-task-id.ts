import type { Client } from '../../shared/client.ts';
import { CiError } from '../../shared/errors.ts';
import { parseTaskId, quote, type TaskId } from '../../shared/ids.ts';

/** How few characters may stand for an id. */
const SHORTEST = 6;
/** How many tasks are looked through for an abbreviated id, at most. */
const MOST_TASKS = 5000;

/** A whole id, or the beginning or the end of one that no other listed task has. */
export async function findTaskId(client: Client, text: string, signal: AbortSignal): Promise<TaskId> {
  const word = text.toLowerCase();
  if (word.length >= 26 || !/^[0-9a-z]+$/.test(word)) return parseTaskId(word);
  if (word.length < SHORTEST) {
    throw new CiError(
      'invalid',
      `Cannot find task as its id is too short to tell: ${quote(text)}, at least ${SHORTEST}`,
    );
  }
  const found = new Map<string, string>();
  for await (const { id, name } of allTasks(client, signal)) {
    if (id.startsWith(word) || id.endsWith(word)) found.set(id, name);
  }
  const [first, ...others] = found;
  if (!first) throw new CiError('not-found', `Cannot find task: no id begins or ends with ${quote(text)}`);
  if (others.length === 0) return parseTaskId(first[0]);
  const names = [first, ...others].slice(0, 5).map(([id, name]) => `${id} (${name})`);
  throw new CiError('invalid', `Cannot tell which task ${quote(text)} is: ${names.join(', ')}`);
}

async function* allTasks(client: Client, signal: AbortSignal) {
  let after: string | undefined;
  for (let seen = 0; seen < MOST_TASKS; ) {
    const query = { limit: 1000, ...(after !== undefined && { after }) };
    const { tasks, next } = await client.call('listTasks', { query }, signal);
    yield* tasks;
    seen += tasks.length;
    if (next === undefined || tasks.length === 0) return;
    after = next;
  }
}
