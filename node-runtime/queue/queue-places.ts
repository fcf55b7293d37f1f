import { newTaskId, type TaskId, taskIdTime } from '../../shared/ids.ts';
import type { Keyspace } from '../../shared/keyspace.ts';
import type { Chance } from '../system/chance.ts';

/** A node leaves out up to so many times the length of its last stretch before the next. */
const LONGEST_GAP = 8;

/** A key just before those of a task. */
export function placeBefore(keys: Keyspace, id: TaskId): string {
  return keys.task(id).slice(0, -1);
}

/** A key some way on from a stretch, by chance: nodes that have met there part again. */
export function placeBeyond(keys: Keyspace, first: TaskId, last: TaskId, chance: Chance): string {
  const time = taskIdTime(last);
  const gap = first[0] === last[0] ? (time - taskIdTime(first)) * LONGEST_GAP * chance.random() : 0;
  const place = keys.task(newTaskId(Number(last[0]), Math.floor(time + gap), () => 0));
  const end = keys.lock(last);
  if (place < end) return end;
  return place;
}
