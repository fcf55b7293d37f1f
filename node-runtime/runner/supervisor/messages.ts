import type { ErrorCode } from '../../../shared/errors.ts';
import type { Renewal } from '../../cluster/session.ts';
import type { LeaseId } from '../../store/store.ts';
import type { CommandEnd } from '../sandbox.ts';
import type { OwnPlace, PlaceWanted } from './own-place.ts';
import type { Marks } from './process-marks.ts';

/** What a node tells its supervisor. Those with an `id` are answered. */
export type Request =
  /** The first one, with the rules. */
  | {
      readonly kind: 'begin';
      readonly id: number;
      readonly freezeAfterMs: number;
      readonly killAfterFrozenMs: number;
      /** Its tag is what the supervisor was started with, for its commands to inherit. */
      readonly place: PlaceWanted;
    }
  | ({ readonly kind: 'renewed' } & Renewal)
  | { readonly kind: 'open'; readonly sandbox: SandboxPlan }
  | { readonly kind: 'run'; readonly id: number; readonly sandbox: number; readonly command: CommandPlan }
  | { readonly kind: 'stop'; readonly sandbox: number; readonly graceMs: number }
  | { readonly kind: 'freeze' | 'thaw' | 'kill'; readonly id: number; readonly sandbox: number }
  /** Asks how long it has stood still since then. */
  | { readonly kind: 'stood-still'; readonly id: number; readonly sandbox: number; readonly since: number }
  /** Kills it and forgets it. */
  | { readonly kind: 'close'; readonly id: number; readonly sandbox: number };

export type Reply =
  | {
      readonly kind: 'begun';
      readonly id: number;
      readonly pid: number;
      /** Of the user ids that are this node's to give. */
      readonly firstUser?: number;
      /** Whether commands carry the tag, and a score of their own. */
      readonly isTagged: boolean;
      readonly place: OwnPlace;
    }
  | { readonly kind: 'done'; readonly id: number }
  | { readonly kind: 'failed'; readonly id: number; readonly code: ErrorCode; readonly message: string }
  | { readonly kind: 'stood-still'; readonly id: number; readonly ms: number }
  /** The answer to `run`, when the command has ended. */
  | { readonly kind: 'ended'; readonly id: number; readonly end: CommandEnd };

export interface SandboxPlan {
  readonly number: number;
  /** That its claim stands under. */
  readonly lease: LeaseId;
  /** Its own folder, with a slash at its end. */
  readonly folder: string;
  readonly marks: Marks;
  /** The score by which the kernel chooses whom to kill when memory runs out. No other sandbox of the node has it now. */
  readonly oomScore: number;
  /** The user and group that its commands run as, where they are not the node's. */
  readonly user?: number;
  readonly bubblewrap?: {
    /** Its path. */
    readonly program: string;
    /** Its arguments for the holder of the namespaces, and for commands that join them. */
    readonly holder: readonly string[];
    readonly layout: readonly string[];
  };
}

export interface CommandPlan {
  readonly argv: readonly [string, ...string[]];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** A named pipe that the node has open for reading: where output goes. Its name is removed by who opens it for writing. */
  readonly pipe: string;
}
