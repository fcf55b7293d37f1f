import { CiError } from './errors.ts';
import { visible } from './visible.ts';

/** One task: the priority digit, then a ULID in lower case. Key order is queue order. */
export type TaskId = string & { readonly taskId: unique symbol };
/** A name or path that names a cluster in etcd, such as `acme/ci`. */
export type ClusterId = string & { readonly clusterId: unique symbol };
/** One running binary within its cluster; by default the name of its host. */
export type NodeId = string & { readonly nodeId: unique symbol };
/**
 * The etcd revision that created a claim's lock: it names one attempt, and a later attempt has a larger one.
 */
export type Fence = number;

const TASK_ID = /^[0-9][0-9a-z]{25,31}$/;
const CLUSTER_SEGMENT = /^[a-z0-9][a-z0-9_-]{0,62}$/;
const NODE_ID = /^[A-Za-z0-9[][A-Za-z0-9._:[\]-]{0,252}$/;
const CROCKFORD = '0123456789abcdefghjkmnpqrstvwxyz';

/** Words that are folders of the keyspace: a cluster id with one of them could be mistaken for a key of another cluster. */
export const RESERVED_SEGMENTS: readonly string[] = [
  'cluster',
  'members',
  'tasks',
  'attempts',
  'completed',
  'runs',
  'waiting',
  'tokens',
  'secrets',
  'schedules',
  'groups',
  'tickets',
  'demand',
  'posts',
  'retiring',
];

/**
 * Makes the id of a new task. It doubles as the idempotency key of its submission, so the submitter makes it.
 * @param priority 0 (most urgent) to 9; 5 is normal
 * @param now milliseconds since 1970
 * @param random a source of numbers in [0, 1)
 */
export function newTaskId(priority: number, now: number, random: () => number): TaskId {
  let time = '';
  for (let rest = now, i = 0; i < 10; i++, rest = Math.floor(rest / 32)) time = CROCKFORD[rest % 32] + time;
  let chance = '';
  for (let i = 0; i < 16; i++) chance += CROCKFORD[Math.floor(random() * 32)];
  return `${priority}${time}${chance}` as TaskId;
}

/** When the id was made, in milliseconds since 1970 by the submitter's clock. */
export function taskIdTime(id: TaskId): number {
  let time = 0;
  for (const character of id.slice(1, 11)) time = time * 32 + CROCKFORD.indexOf(character);
  return time;
}

export function parseTaskId(text: string): TaskId {
  if (TASK_ID.test(text)) return text as TaskId;
  throw new CiError(
    'invalid',
    `Cannot use task id as it is not 26 to 32 of [0-9a-z] starting with its priority digit: ${quote(text)}`,
  );
}

export function parseClusterId(text: string): ClusterId {
  const refuse = (why: string) => new CiError('invalid', `Cannot use cluster id as ${why}: ${quote(text)}`);
  if (text.length > 200) throw refuse('it is longer than 200 characters');
  for (const segment of text.split('/')) {
    if (!CLUSTER_SEGMENT.test(segment))
      throw refuse('each part between slashes must be 1 to 63 of [a-z0-9_-], starting with a letter or digit');
    if (RESERVED_SEGMENTS.includes(segment)) throw refuse(`"${segment}" is a reserved word of the keyspace`);
  }
  return text as ClusterId;
}

export function parseNodeId(text: string): NodeId {
  if (NODE_ID.test(text)) return text as NodeId;
  throw new CiError('invalid', `Cannot use node id as it is not 1 to 253 of [A-Za-z0-9._:-]: ${quote(text)}`);
}

/** A value as it appears in a message: quoted, on one line, and never longer than a line. */
export function quote(value: unknown): string {
  const text = visible(JSON.stringify(value) ?? String(value));
  return text.length > 120 ? `${text.slice(0, 117)}…"` : text;
}

/** Of 0, the most urgent, to 9. Here, where nothing heavy is imported. */
export const DEFAULT_PRIORITY = 5;
