import { CiError, type ErrorCode } from '../../../shared/errors.ts';

/** gRPC's status codes, as far as they are told apart here. */
export const STATUS = {
  cancelled: 1,
  unknown: 2,
  deadlineExceeded: 4,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const;

/** After these nobody knows whether the server has done what it was asked. */
const UNCLEAR: ReadonlySet<number> = new Set([
  STATUS.cancelled,
  STATUS.unknown,
  STATUS.deadlineExceeded,
  STATUS.aborted,
  STATUS.internal,
  STATUS.unavailable,
]);

/** What etcd says, as part of its sentence, and what that means here. The first that fits counts. */
const MEANINGS: readonly (readonly [RegExp, ErrorCode, string])[] = [
  [/revision has been compacted/, 'gone', 'etcd has compacted that revision'],
  [/future revision/, 'invalid', 'the revision is yet to come'],
  [/requested lease not found/, 'conflict', 'the lease does not exist'],
  [
    /space exceeded/,
    'unavailable',
    'etcd’s database has reached its quota (alarm NOSPACE): compact and defragment it or raise --quota-backend-bytes, then disarm the alarm',
  ],
  [/request is too large|too many operations/, 'too-large', 'etcd refuses it as too large'],
  [/duplicate key/, 'invalid', 'it changes a key twice'],
  [/authentication failed/, 'unauthenticated', 'etcd does not know this user and password'],
  [/user name is empty|user name not found/, 'unauthenticated', 'etcd wants a user and password'],
  [/permission denied/, 'forbidden', 'etcd does not allow it to this user'],
];

/** etcd does not know the token (any more): nothing was done, a new one may help. */
const TOKEN_REFUSED = /invalid auth token|revision in header is old|revision of auth store is old|user name is empty/;

/** A call that etcd or the way to it refused, as gRPC tells it. */
export class EtcdFailure extends Error {
  override readonly name = 'EtcdFailure';
  readonly status: number;
  readonly details: string;
  readonly address: string;

  constructor(status: number, details: string, address: string) {
    super(`${details} (status ${status}, ${address})`);
    this.status = status;
    this.details = details;
    this.address = address;
  }

  get isUnclear(): boolean {
    return UNCLEAR.has(this.status) && this.#meaning === undefined;
  }

  get isTokenRefused(): boolean {
    return this.status === STATUS.unauthenticated || TOKEN_REFUSED.test(this.details);
  }

  get isPermissionDenied(): boolean {
    return /permission denied/.test(this.details);
  }

  get isLeaseUnknown(): boolean {
    return /requested lease not found/.test(this.details);
  }

  /** @param what was attempted, to follow "Cannot" */
  toCiError(what: string): CiError {
    const [, code, reason] = this.#meaning ?? [];
    if (code) return new CiError(code, `Cannot ${what} as ${reason}: ${this.address}`, { cause: this });
    if (this.status === STATUS.deadlineExceeded) {
      return new CiError('unavailable', `Cannot ${what} as etcd did not answer in time: ${this.address}`, {
        cause: this,
      });
    }
    const known: ErrorCode = this.status === STATUS.unauthenticated ? 'unauthenticated' : 'unavailable';
    const passing = UNCLEAR.has(this.status) || this.status === STATUS.resourceExhausted;
    const refused = passing || known === 'unauthenticated' ? known : 'invalid';
    return new CiError(refused, `Cannot ${what} as etcd at ${this.address} failed: ${this.details}`, { cause: this });
  }

  get #meaning() {
    return MEANINGS.find(([pattern]) => pattern.test(this.details));
  }
}
