import { MemberRecord } from '../../shared/result.ts';

/** Undefined for a record that this release cannot read: the node is left out. */
export function readMember(value: string): MemberRecord | undefined {
  try {
    return MemberRecord.safeParse(JSON.parse(value)).data;
  } catch {
    return undefined;
  }
}
