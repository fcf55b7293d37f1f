import { quote } from '../../shared/ids.ts';
import type { RangeRequest, Transaction } from './store.ts';

/** What a request is for, to follow "Cannot" when it fails: which keys tells whose work that was. */
export function describeRange(request: RangeRequest): string {
  return 'key' in request ? `read ${quote(request.key)}` : `read what is under ${quote(request.prefix)}`;
}

/** A transaction that changes nothing is how several keys are read together. */
export function describeTransaction({ when, then, otherwise = [] }: Transaction): string {
  const changed = then.map(operation => ('put' in operation ? operation.put : operation.delete));
  if (changed.length > 0) return `write ${list(changed)}`;
  return `read ${list(otherwise.length > 0 ? otherwise : when.map(({ key }) => key))}`;
}

function list([first, ...others]: readonly string[]): string {
  if (first === undefined) return 'nothing';
  return others.length === 0 ? quote(first) : `${quote(first)} and ${others.length} more`;
}
