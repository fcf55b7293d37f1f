import type { LogEvent } from '../../shared/log.ts';
import { LogText } from '../../shared/log-text.ts';
import type { Terminal } from './terminal.ts';

export type LogFormat = 'text' | 'timestamps' | 'json' | 'raw';

/** Prints a log as it comes; `onEvent` hears of each event before it is printed. */
export async function printLog(
  terminal: Terminal,
  events: AsyncIterable<LogEvent>,
  format: LogFormat,
  onEvent: (event: LogEvent) => void = () => undefined,
): Promise<void> {
  const text = new LogText({ timestamps: format === 'timestamps', colors: terminal.hasColours });
  try {
    for await (const event of events) {
      onEvent(event);
      await terminal.write(shape(event, format, text));
    }
  } finally {
    if (format === 'text' || format === 'timestamps') await terminal.write(text.end());
  }
}

function shape(event: LogEvent, format: LogFormat, text: LogText): Uint8Array | string {
  switch (format) {
    case 'raw':
      return event.kind === 'bytes' ? event.bytes : '';
    case 'json':
      return `${JSON.stringify(logEventJson(event))}\n`;
    default:
      return text.push(event);
  }
}

/** An event as one object: output as `text` where it is UTF-8, else as `base64`. */
function logEventJson(event: LogEvent): Record<string, unknown> {
  switch (event.kind) {
    case 'attempt':
      return { event: 'attempt', attempt: event.attempt, fence: event.fence, node: event.node, offset: event.offset };
    case 'bytes':
      return { event: 'output', offset: event.offset, time: event.time, ...textOrBase64(event.bytes) };
    case 'mark': {
      const { kind, ...mark } = event.mark;
      return { event: kind, ...mark };
    }
    case 'end':
      return { event: 'attempt-ended', reason: event.reason, offset: event.offset };
  }
}

function textOrBase64(bytes: Uint8Array): { text: string } | { base64: string } {
  try {
    return { text: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes) };
  } catch {
    return { base64: Buffer.from(bytes).toString('base64') };
  }
}
