import { count } from '../amounts.ts';
import type { TaskView } from '../api.ts';
import type { Client, LogRequest } from '../client.ts';
import type { Fence } from '../ids.ts';
import type { LogEvent } from '../log.ts';
import { plainLine } from '../log-model/ansi.ts';
import { LineReader } from '../log-model/line-reader.ts';

/** What a model is given of a log at most, in bytes of output. */
const MOST_BYTES = 32_768;
/** More lines are not kept. */
const MOST_LINES = 2000;
/** Of one line, in characters. */
const LONGEST_LINE = 1000;

/** The last lines of the step that failed, without what would steer a terminal; of a task that did not fail, of its log. */
export async function failureLog(
  client: Client,
  view: TaskView,
  lines: number,
  signal: AbortSignal,
): Promise<string[]> {
  const stretch = await stretchOf(client, view, signal);
  if (!stretch) return ['It printed nothing: no attempt at it was made.'];
  const { text, isWhole } = await readLines(client, view.id, stretch, signal);
  if (text.length === 0) return [`${stretch.what} printed nothing.`];
  const shown = text.slice(-lines);
  const what = isWhole && shown.length === text.length ? 'What' : `The last ${count(shown.length, 'line')} that`;
  return ['', `${what} ${stretch.what} printed:`, ...shown];
}

/** A part of a log. */
interface Stretch {
  /** Who printed it. */
  readonly what: string;
  /** Its end is read. */
  readonly from: number;
  readonly to: number;
  readonly request: LogRequest;
}

async function stretchOf(client: Client, view: TaskView, signal: AbortSignal): Promise<Stretch | undefined> {
  // How long the log of a task that runs is, only its node knows.
  if (view.state === 'running')
    return { what: 'it', from: 0, to: Number.POSITIVE_INFINITY, request: { tail: MOST_BYTES } };
  const fence = view.state === 'finished' && view.result.fence > 0 ? view.result.fence : view.past.at(-1)?.fence;
  if (fence === undefined) return undefined;
  const { marks, bytes } = await client.call('logMarks', { params: { id: view.id, fence } }, signal);
  const step = failedStep(view, marks) ?? { what: 'it', from: 0, to: bytes };
  const offset = Math.max(step.from, step.to - MOST_BYTES);
  return { ...step, request: { from: { fence: fence as Fence, offset } } };
}

interface Mark {
  readonly kind: string;
  readonly offset: number;
  readonly step?: number | undefined;
}

/** The last step that did not pass. */
function failedStep(view: TaskView, marks: readonly Mark[]) {
  const steps = view.state === 'finished' ? view.result.steps : [];
  const step = steps.findLastIndex(({ outcome }) => outcome !== 'passed' && outcome !== 'skipped');
  const markOf = (kind: string) => marks.find(mark => mark.kind === kind && mark.step === step)?.offset;
  const from = markOf('step-started');
  const to = markOf('step-finished');
  if (from === undefined || to === undefined) return undefined;
  return { what: `step "${plainLine(steps[step]?.name ?? '')}"`, from, to };
}

async function readLines(client: Client, task: string, { from, to, request }: Stretch, signal: AbortSignal) {
  const reader = new LineReader();
  let text: string[] = [];
  let isWhole = true;
  let last: string | undefined;
  for await (const event of client.log(task, { ...request, follow: false }, signal)) {
    if (event.kind === 'bytes' && event.offset >= to) break;
    if (event.kind === 'attempt') isWhole = event.offset <= from;
    last = undefined;
    for (const line of reader.read([upTo(event, to)])) {
      if (line.kind !== 'output') continue;
      const shown = plainLine(line.text).slice(0, LONGEST_LINE);
      if (line.isWhole) text.push(shown);
      else last = shown;
    }
    text = text.slice(-MOST_LINES);
  }
  if (last !== undefined) text.push(last);
  // The first may be the rest of a line.
  return { text: isWhole ? text : text.slice(1), isWhole };
}

function upTo(event: LogEvent, to: number): LogEvent {
  return event.kind === 'bytes' ? { ...event, bytes: event.bytes.subarray(0, to - event.offset) } : event;
}
