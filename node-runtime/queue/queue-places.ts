import { newTaskId, type TaskId, taskIdTime } from '../../shared/ids.ts';
import type { Keyspace } from '../../shared/keyspace.ts';
import type { Chance } from '../system/chance.ts';

/** A key just before those of a task. */
export function placeBefore(keys: Keyspace, id: TaskId): string {
  return keys.task(id).slice(0, -1);
}

/** A key beyond a stretch, by chance up to `times` its length: nodes that have met there part again. */
export function placeBeyond(keys: Keyspace, first: TaskId, last: TaskId, times: number, chance: Chance): string {
  const time = taskIdTime(last);
  const gap = first[0] === last[0] ? (time - taskIdTime(first)) * times * chance.random() : 0;
  const place = keys.task(newTaskId(Number(last[0]), Math.floor(time + gap), () => 0));
  const end = keys.lock(last);
  if (place < end) return end;
  return place;
}
