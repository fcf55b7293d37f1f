import type { TaskView } from '../../shared/api.ts';
import type { Client, LogRequest } from '../../shared/client.ts';
import { CiError } from '../../shared/errors.ts';
import type { TaskId } from '../../shared/ids.ts';
import type { LogPosition } from '../../shared/log.ts';
import type { ConnectionOptions } from './common-options.ts';
import { connect } from './connect.ts';
import type { CliContext } from './context.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { findTaskId } from './find-task-id.ts';
import { type LogFormat, printLog } from './print-log.ts';

type Options = ConnectionOptions & {
  readonly follow: boolean;
  readonly attempt: number | undefined;
  readonly from: number | undefined;
  readonly tail: number | undefined;
  readonly timestamps: boolean;
  readonly raw: boolean;
  readonly json: boolean;
};

export async function showLog(context: CliContext, word: string, options: Options): Promise<ExitCode> {
  const format = chooseFormat(options);
  await using connection = await connect(context, options);
  const { terminal, signal } = context;
  const { client } = connection;
  const id = await findTaskId(client, word, signal);
  if (format === 'raw' && !options.follow && options.tail === undefined) {
    await printRaw(context, client, id, options);
    return EXIT.passed;
  }
  if (options.follow) await connection.learnNodes(signal);
  const request = await logRequest(client, id, options, signal);
  const isForPeople = format === 'text' || format === 'timestamps';
  if (isForPeople && options.follow) await sayThatItWaits(context, client, id);
  let isEmpty = true;
  await printLog(terminal, client.log(id, request, signal), format, () => (isEmpty = false));
  if (isForPeople && isEmpty) await sayWhyEmpty(context, client, id);
  return EXIT.passed;
}

/** Following it may show nothing for long. */
async function sayThatItWaits({ terminal, signal }: CliContext, client: Client, id: TaskId): Promise<void> {
  const view = await client.call('getTask', { params: { id } }, signal);
  if (view.state === 'queued') terminal.say('The task is queued: its log goes on when a node takes it.');
}

async function sayWhyEmpty({ terminal, signal }: CliContext, client: Client, id: TaskId): Promise<void> {
  const view = await client.call('getTask', { params: { id } }, signal);
  if (view.state === 'finished') terminal.say(`The task has no log. ${view.result.message}`);
  else terminal.say(`The task is ${view.state}, and has no log yet.`);
}

function chooseFormat({ raw, json, timestamps, from, tail }: Options): LogFormat {
  const refuse = (why: string) => new CiError('invalid', `Cannot run \`logs\` with ${why} at once`);
  if (raw && json) throw refuse('--raw and --json');
  if (raw && timestamps) throw refuse('--raw and --timestamps');
  if (from !== undefined && tail !== undefined) throw refuse('--from and --tail');
  if (raw) return 'raw';
  return json ? 'json' : timestamps ? 'timestamps' : 'text';
}

async function printRaw({ terminal, signal }: CliContext, client: Client, id: TaskId, options: Options): Promise<void> {
  const { attempt, from } = options;
  const range = { ...(attempt !== undefined && { attempt }), ...(from !== undefined && { from }) };
  for await (const bytes of client.rawLog(id, range, signal)) await terminal.write(bytes);
}

/** Raw bytes are those of one attempt: a second one's would not be told apart from them. */
async function logRequest(
  client: Client,
  id: TaskId,
  { follow, attempt, from, tail, raw }: Options,
  signal: AbortSignal,
): Promise<LogRequest> {
  const view = raw || from !== undefined ? await client.call('getTask', { params: { id } }, signal) : undefined;
  const one = attempt ?? (view && raw ? currentAttempt(view) : undefined);
  return {
    follow,
    ...(one !== undefined && { attempt: one }),
    ...(tail !== undefined && { tail }),
    ...(view && from !== undefined && { from: positionIn(view, from, attempt) }),
  };
}

function currentAttempt(view: TaskView): number {
  if (view.state === 'finished') return Math.max(1, view.result.attempt);
  return view.state === 'running' ? view.attempt : view.past.length + 1;
}

/** A byte offset belongs to one attempt, and an attempt is named by its fence. */
function positionIn(view: TaskView, offset: number, attempt: number | undefined): LogPosition {
  const number = attempt ?? currentAttempt(view);
  const past = view.past.find(one => one.attempt === number);
  if (past) return { fence: past.fence, offset };
  if (view.state === 'running' && view.attempt === number) return { fence: view.fence, offset };
  if (view.state === 'finished' && view.result.attempt === number) return { fence: view.result.fence, offset };
  throw new CiError('not-found', `Cannot start at byte ${offset} as the task has no attempt ${number}`);
}
