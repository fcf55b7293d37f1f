import { Agent, request } from 'node:http';

/** How many requests are under way at once, each on a connection that stays open. */
const AT_ONCE = 32;

/** Sends so many requests with these headers, and counts what they are answered with, by status. */
export async function flood(
  url: string,
  count: number,
  headersOf: (index: number) => Readonly<Record<string, string>>,
): Promise<Map<number, number>> {
  using agent = disposable(new Agent({ keepAlive: true, maxSockets: AT_ONCE }));
  const statuses = new Map<number, number>();
  let next = 0;
  const worker = async () => {
    for (let index = next++; index < count; index = next++) {
      const status = await statusOf(url, headersOf(index), agent.value);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return statuses;
}

function statusOf(url: string, headers: Readonly<Record<string, string>>, agent: Agent): Promise<number> {
  return new Promise((resolve, reject) => {
    const asking = request(url, { headers, agent }, response => {
      response.resume().on('error', reject);
      response.on('end', () => resolve(response.statusCode ?? 0));
    });
    asking.on('error', reject).end();
  });
}

function disposable(value: Agent): { readonly value: Agent } & Disposable {
  return { value, [Symbol.dispose]: () => value.destroy() };
}
