import { Readable } from 'node:stream';
import { CiError } from '../../shared/errors.ts';
import { parseTaskId } from '../../shared/ids.ts';
import type { LogAttemptEvent, LogEvent } from '../../shared/log.ts';
import type { FollowRequest, Logs, TaskLogs } from '../logs/logs.ts';
import type { Handlers } from './handlers.ts';

interface LogParts {
  readonly taskLogs: TaskLogs;
  readonly logs: Pick<Logs, 'outline'>;
}

export function logHandlers({ taskLogs, logs }: LogParts): Pick<Handlers, 'taskLog' | 'logMarks'> {
  return {
    logMarks: async ({ params: { id, fence }, signal }) => {
      const { bytes, marks } = (await logs.outline({ task: parseTaskId(id), fence }, signal)) ?? {
        bytes: 0,
        marks: [],
      };
      return { bytes, marks: [...marks] };
    },

    taskLog: async ({ params, query, signal }) => {
      const { from = 0, to = Number.POSITIVE_INFINITY, attempt } = query;
      if (to < from) throw new CiError('invalid', `Cannot read log as "to" lies before "from": ${to}, ${from}`);
      const request = { task: parseTaskId(params.id), follow: false, ...(attempt !== undefined && { attempt }) };
      const fence = query.fence ?? (from > 0 ? await findFence(taskLogs, request, signal) : undefined);
      const position = fence === undefined ? {} : { from: { fence, offset: from } };
      const [first, events] = await begin(taskLogs, { ...request, ...position }, signal);
      return {
        headers: {
          'content-type': 'application/octet-stream',
          'content-disposition': `attachment; filename="${params.id}.log"`,
          'x-simple-ci-fence': String(first.fence),
          'x-simple-ci-offset': String(first.offset),
        },
        body: Readable.from(bytesOf(events, to), { objectMode: false }),
      };
    },
  };
}

/** Which attempt is meant, when only an offset was given. */
async function findFence(logs: TaskLogs, request: FollowRequest, signal: AbortSignal): Promise<number> {
  const [first, events] = await begin(logs, { ...request, tail: 0 }, signal);
  await events.return?.();
  return first.fence;
}

/** Reads the first event, so that a task without a log is an error and not an empty answer. */
async function begin(
  logs: TaskLogs,
  request: FollowRequest,
  signal: AbortSignal,
): Promise<[LogAttemptEvent, AsyncIterator<LogEvent>]> {
  const events = logs.follow(request, signal)[Symbol.asyncIterator]();
  const first = await events.next();
  if (!first.done && first.value.kind === 'attempt') return [first.value, events];
  await events.return?.();
  throw new CiError('not-found', `Cannot read log as no attempt at the task has begun: ${request.task}`);
}

/** The bytes of the attempt that has just begun, up to but without the one at `to`. */
async function* bytesOf(events: AsyncIterator<LogEvent>, to: number): AsyncGenerator<Uint8Array> {
  try {
    for (let next = await events.next(); !next.done; next = await events.next()) {
      const event = next.value;
      if (event.kind === 'attempt' || event.kind === 'end') return;
      if (event.kind !== 'bytes') continue;
      yield event.bytes.subarray(0, Math.max(0, to - event.offset));
      if (event.offset + event.bytes.length >= to) return;
    }
  } finally {
    await events.return?.();
  }
}
