import { createClient } from '../../shared/client.ts';
import type { LogEvent } from '../../shared/log.ts';
import type { ReadFromNode, ReadRequest } from '../logs/logs.ts';

/** How long to try getting back to a node whose connection broke before the log is looked for elsewhere, in milliseconds. */
const PATIENCE_MS = 2000;

/**
 * Reads a live log from the node that runs the attempt, as any client would, with a token that only nodes can make.
 * Only what that node has itself is asked for: two nodes never send each other round in circles.
 */
export function createReadFromNode(options: { readonly token: () => Promise<string> }): ReadFromNode {
  return (address, request, signal) => readFromNode(address, options.token, request, signal);
}

async function* readFromNode(
  address: string,
  token: () => Promise<string>,
  { task, fence, from, follow, tail }: ReadRequest,
  signal: AbortSignal,
): AsyncGenerator<Exclude<LogEvent, { kind: 'attempt' }>> {
  await using client = createClient({ urls: [address], token, patienceMs: PATIENCE_MS });
  const wanted = { from: { fence, offset: from }, follow, local: true, ...(tail !== undefined && { tail }) };
  for await (const event of client.log(task, wanted, signal)) if (event.kind !== 'attempt') yield event;
}
