import { z } from 'zod';
import type { Fence, TaskId } from '../../shared/ids.ts';
import type { Command } from '../runner/sandbox.ts';
import type { LeaseId } from '../store/store.ts';

/** The containers of a task's pod, one after the other: in the first the node's own commands run, in the second the task's. */
export type Role = 'prepare' | 'task';

/** What an attendant ends with that could not reach its node. */
export const NOT_REACHED = 69;

/** What a node tells the attendant in a task's pod. Those with an `id` are answered. */
export type Order =
  | {
      readonly kind: 'open';
      readonly id: number;
      readonly attempt: { readonly task: TaskId; readonly fence: Fence; readonly lease: LeaseId };
    }
  /** Takes a tree of files, as tar, from a stream. */
  | { readonly kind: 'put'; readonly id: number; readonly stream: string }
  /** Its output goes to the stream. */
  | { readonly kind: 'run'; readonly id: number; readonly stream: string; readonly command: Command }
  | { readonly kind: 'stop'; readonly graceMs: number }
  | { readonly kind: 'freeze' | 'thaw' | 'kill'; readonly id: number }
  /** How long it has stood still in the last so many milliseconds. */
  | { readonly kind: 'stood-still'; readonly id: number; readonly lastMs: number }
  /** Gives the files that match to the stream. */
  | { readonly kind: 'bring-back'; readonly id: number; readonly stream: string; readonly patterns: readonly string[] }
  /** How long ago the last acknowledged renewal was sent when this was answered. */
  | { readonly kind: 'renewal'; readonly question: number; readonly lease: LeaseId; readonly ageMs: number }
  /** The container has done its part. */
  | { readonly kind: 'finish' };

const id = z.int().min(0);
const text = z.string().max(20_000);

const CommandEnd = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('exited'), code: z.int() }),
  z.object({ kind: z.literal('killed'), signal: z.string().regex(/^SIG[A-Z0-9]{1,20}$/), byUs: z.boolean() }),
  z.object({ kind: z.literal('not-started'), message: text }),
  z.object({ kind: z.literal('no-folder') }),
]);

/**
 * What an attendant says. It runs beside what the task runs, as the same user: it is believed about this task, and about nothing
 * else.
 */
export const Report = z.discriminatedUnion('kind', [
  /** The first one of the second container: what its image has. */
  z.object({ kind: z.literal('system'), env: z.record(z.string(), z.string()), hasBash: z.boolean() }),
  z.object({ kind: z.literal('renewal-wanted'), question: id }),
  z.object({ kind: z.literal('done'), id }),
  /** `invalid`: by the task's own fault. */
  z.object({ kind: z.literal('failed'), id, code: z.enum(['invalid', 'unavailable']), message: text }),
  z.object({ kind: z.literal('stood-still'), id, ms: z.number().min(0) }),
  /** `printed`: bytes of its output that were sent before. */
  z.object({ kind: z.literal('ended'), id, end: CommandEnd, printed: z.number().min(0) }),
]);
export type Report = z.infer<typeof Report>;
export type Answer = Extract<Report, { id: number }>;

/** What a connection begins with: one line that says what it is for. */
export type Greeting =
  | { readonly kind: 'control'; readonly role: Role }
  | { readonly kind: 'stream'; readonly id: string };

export function greetingLine(greeting: Greeting): string {
  return greeting.kind === 'control' ? `control ${greeting.role}\n` : `stream ${greeting.id}\n`;
}

export function parseGreeting(line: string): Greeting | undefined {
  const [kind, rest = ''] = line.split(' ');
  if (kind === 'control' && (rest === 'prepare' || rest === 'task')) return { kind, role: rest };
  return kind === 'stream' && /^[0-9a-f]{32}$/.test(rest) ? { kind, id: rest } : undefined;
}

/**
 * Both sides prove by one secret that they are who they are meant to be, and what they say is encrypted with keys of that
 * connection alone.
 */
export const PSK_TLS = { minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3', ciphers: 'TLS_AES_128_GCM_SHA256' } as const;
