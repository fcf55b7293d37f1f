import type { LogEvent, LogMark } from './log.ts';
import { SafeText } from './safe-text.ts';

export interface LogTextOptions {
  /** Begin each line with the time at which the node read its first byte, in UTC. */
  readonly timestamps: boolean;
  /** Colour headings, and keep the colours of the output itself. */
  readonly colors: boolean;
}

const BOLD = '1';
const DIM = '2';
const RED = '31';

/**
 * A log as text for a terminal: the output, made harmless (`SafeText`), with headings for steps, failures and attempts on
 * lines of their own. For the exact bytes use the events themselves.
 */
export class LogText {
  readonly #options: LogTextOptions;
  readonly #safe: SafeText;
  #isInLine = false;
  #isColored = false;
  #attempt: number | undefined;

  constructor(options: LogTextOptions) {
    this.#options = options;
    this.#safe = new SafeText(options.colors);
  }

  /** What to print for the event. */
  push(event: LogEvent): string {
    switch (event.kind) {
      case 'bytes':
        return this.#lines(this.#safe.push(event.bytes), event.time);
      case 'mark':
        return this.#mark(event.mark);
      case 'attempt': {
        const isFirst = this.#attempt === undefined && event.attempt === 1;
        this.#attempt = event.attempt;
        return isFirst ? '' : this.#heading(`Attempt ${event.attempt} on ${event.node}`, BOLD);
      }
      case 'end': {
        const lost = `Attempt ${this.#attempt ?? ''} was given up or lost with its node: its last output may be missing`;
        return event.reason === 'lost' ? this.#heading(lost, RED) : this.end();
      }
    }
  }

  /** What ends the last line. */
  end(): string {
    const rest = this.#safe.end() + (this.#isColored ? '\u001b[0m' : '') + (this.#isInLine ? '\n' : '');
    this.#isInLine = false;
    this.#isColored = false;
    return rest;
  }

  #mark({ kind, text, time }: LogMark): string {
    if (kind === 'step-started') return this.#heading(`▶ ${text}`, BOLD, time);
    if (kind === 'note') return this.#heading(`• ${text}`, DIM, time);
    return text === 'passed' ? this.end() : this.#heading(`✗ ${text}`, RED, time);
  }

  #heading(text: string, color: string, time?: number): string {
    const line = oneLine(text);
    const shown = this.#options.colors ? `\u001b[${color}m${line}\u001b[0m` : line;
    return `${this.end()}${time === undefined ? '' : this.#stamp(time)}${shown}\n`;
  }

  #lines(text: string, time: number): string {
    if (text === '') return '';
    this.#isColored ||= text.includes('\u001b');
    const stamp = this.#stamp(time);
    const stamped = stamp === '' ? text : text.replace(/\n(?!$)/g, `\n${stamp}`);
    const shown = this.#isInLine ? stamped : stamp + stamped;
    this.#isInLine = !text.endsWith('\n');
    return shown;
  }

  #stamp(time: number): string {
    return this.#options.timestamps ? `${new Date(time).toISOString()} ` : '';
  }
}

/** A heading comes from a task's own words: it gets no control over the terminal either. */
function oneLine(text: string): string {
  const safe = new SafeText(false);
  return (safe.push(new TextEncoder().encode(text)) + safe.end()).replaceAll('\n', ' ');
}
