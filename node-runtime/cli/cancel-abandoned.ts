import type { Client } from '../../shared/client.ts';

/**
 * Cancels the tasks of embedded nodes that died in the middle: a command that is killed leaves its task in the queue of this
 * machine, where no other node would ever take it, and whoever waited for it is gone.
 */
export async function cancelAbandoned(client: Client, signal: AbortSignal): Promise<void> {
  const { tasks } = await client.call('listTasks', { query: { state: 'queued' } }, signal);
  if (tasks.length === 0) return;
  const { nodes } = await client.call('listNodes', {}, signal);
  const living = new Set(nodes.map(({ node }) => node));
  for (const { id } of tasks) {
    const view = await client.call('getTask', { params: { id } }, signal);
    const last = view.state === 'queued' ? view.past.at(-1)?.node : undefined;
    if (last !== undefined && isEmbeddedNode(last) && !living.has(last))
      await client.call('cancelTask', { params: { id }, query: { reason: RUN_ENDED } }, signal);
  }
}

const EMBEDDED = 'run-';
const RUN_ENDED = 'the run that it was part of has ended without waiting for it';

/** The name of a node that lives as long as one command. */
export function nameOfEmbeddedNode(word: string): string {
  return `${EMBEDDED}${word}`;
}

function isEmbeddedNode(name: string): boolean {
  return name.startsWith(EMBEDDED);
}
