import type { Access, Role } from '../../shared/api.ts';
import { CiError } from '../../shared/errors.ts';

/** Who is asking: the holder of a token, or another node of the cluster. */
export interface Principal {
  /** The token's name: what tasks say of their submitter. */
  readonly name: string;
  readonly role: Role;
  /** The id of the token, for those that have one. */
  readonly token?: string;
  /** Milliseconds since 1970. */
  readonly expires?: number;
}

const RANK: Readonly<Record<Role, number>> = { viewer: 0, runner: 1, admin: 2 };

function mayAccess(role: Role, access: Access): boolean {
  return access === 'public' || RANK[role] >= RANK[access];
}

/** Throws `forbidden` unless the principal's role is enough. The one place where that is decided. */
export function authorize(principal: Principal, access: Access): void {
  if (mayAccess(principal.role, access)) return;
  throw new CiError(
    'forbidden',
    `Cannot do this with the token "${principal.name}" as it takes the role ${access}: it has ${principal.role}`,
  );
}
