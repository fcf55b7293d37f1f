import { z } from 'zod';
import { Id, LogMarkView, NodeView, TaskSummary } from './api.ts';

/** Where the WebSocket is, and the subprotocol it speaks. A ticket goes beside it as the subprotocol `ticket.WORD`. */
export const SOCKET_PATH = '/v1/stream';
export const SOCKET_PROTOCOL = 'simple-ci.v1';

const Subscription = z.int().min(0).max(0xffff_ffff);

/**
 * What a client says, as JSON text, at most 64 KiB. `id` is the client's own name for a subscription.
 *
 * Log bytes flow only as far as the client has given credit (1 MiB to begin with): it gives back what it has consumed. A
 * slow client thus costs the node one buffer, and loses nothing.
 */
export const ClientMessage = z.discriminatedUnion('type', [
  z.discriminatedUnion('topic', [
    z.object({ type: z.literal('subscribe'), id: Subscription, topic: z.literal('tasks') }),
    z.object({ type: z.literal('subscribe'), id: Subscription, topic: z.literal('nodes') }),
    z.object({
      type: z.literal('subscribe'),
      id: Subscription,
      topic: z.literal('log'),
      task: Id,
      /** Which attempt, counted from 1. Default: the one under way, then each that follows it. */
      attempt: z.int().min(1).optional(),
      /** Go on after this position. Default: from the start. */
      from: z.object({ fence: z.int(), offset: z.number().int().min(0) }).optional(),
      /** Start this many bytes before the end instead. */
      tail: z.number().int().min(0).optional(),
      /** false: end with what there is now. Default: until the task is finished. */
      follow: z.boolean().optional(),
      /** Only the attempt that `from` names, and only what the node asked has itself: how nodes ask each other. */
      local: z.boolean().optional(),
      /** Only where steps begin and end, without what was printed. */
      marks: z.boolean().optional(),
    }),
  ]),
  z.object({ type: z.literal('unsubscribe'), id: Subscription }),
  z.object({ type: z.literal('credit'), id: Subscription, bytes: z.number().int().min(1).max(16_777_216) }),
]);
export type ClientMessage = z.infer<typeof ClientMessage>;

/**
 * What the node says: JSON text, but log bytes are binary frames (`encodeLogFrame`). A `tasks` or `nodes` subscription begins
 * with `snapshot`, then one `changed` for each that changes; after a lapse a new `snapshot` replaces all that was known.
 * `end` is the last word of a subscription; `error` too, and says why.
 */
export const ServerMessage = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('snapshot'),
    id: Subscription,
    tasks: z.array(TaskSummary).optional(),
    nodes: z.array(NodeView).optional(),
  }),
  z.object({
    type: z.literal('changed'),
    id: Subscription,
    task: TaskSummary.optional(),
    node: NodeView.optional(),
    /** A task that retention removed, or a node that departed. */
    gone: z.string().optional(),
  }),
  z.object({
    type: z.literal('attempt'),
    id: Subscription,
    fence: z.int(),
    attempt: z.int(),
    node: z.string(),
    offset: z.number(),
  }),
  z.object({
    type: z.literal('mark'),
    id: Subscription,
    mark: LogMarkView,
  }),
  z.object({
    type: z.literal('attempt-end'),
    id: Subscription,
    offset: z.number(),
    reason: z.enum(['finished', 'lost']),
  }),
  z.object({ type: z.literal('end'), id: Subscription }),
  /** Every 15 s, so that a client can tell a silent cluster from a dead connection. */
  z.object({ type: z.literal('heartbeat') }),
  z.object({ type: z.literal('error'), id: Subscription.optional(), code: z.string(), message: z.string() }),
]);
export type ServerMessage = z.infer<typeof ServerMessage>;

/** The largest message of a client, in bytes. */
export const MAX_CLIENT_MESSAGE_BYTES = 65_536;
/** A node says something at least this often; a client that hears nothing for 40 s should take the connection for dead. */
export const HEARTBEAT_MS = 15_000;
export const DEAD_AFTER_MS = 40_000;
export const INITIAL_LOG_CREDIT = 1_048_576;
/** More credit than this is not kept: it is what a client may have on its way at once, in bytes. */
export const MAX_LOG_CREDIT = 16_777_216;
const FRAME_HEADER_BYTES = 20;

/** A binary frame: subscription (u32), offset (f64), time (f64), all big-endian, then the bytes. */
export function encodeLogFrame(subscription: number, offset: number, time: number, bytes: Uint8Array): Uint8Array {
  const frame = new Uint8Array(FRAME_HEADER_BYTES + bytes.length);
  const view = new DataView(frame.buffer);
  view.setUint32(0, subscription);
  view.setFloat64(4, offset);
  view.setFloat64(12, time);
  frame.set(bytes, FRAME_HEADER_BYTES);
  return frame;
}

/** Undefined for a frame too short to be one. */
export function decodeLogFrame(
  frame: Uint8Array,
): { subscription: number; offset: number; time: number; bytes: Uint8Array } | undefined {
  if (frame.length < FRAME_HEADER_BYTES) return undefined;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  return {
    subscription: view.getUint32(0),
    offset: view.getFloat64(4),
    time: view.getFloat64(12),
    bytes: frame.subarray(FRAME_HEADER_BYTES),
  };
}
