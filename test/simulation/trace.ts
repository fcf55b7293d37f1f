import { describeError } from '../../shared/errors.ts';
import type { Scheduler } from './scheduler.ts';

/** So many lines are of use to somebody who reads them. */
const FIRST_LINES = 40;
const LAST_LINES = 80;

interface Line {
  readonly at: number;
  readonly who: string;
  readonly text: string;
}

/** What happened, to be read when something went wrong; and a number that stands for all of it. */
export class Trace {
  readonly #scheduler: Scheduler;
  readonly #lines: Line[] = [];
  #hash = 17;

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  /** The same for two runs in which the same things happened at the same times. */
  get hash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, '0');
  }

  note(who: string, what: string, fields: Readonly<Record<string, unknown>> = {}): void {
    const more = Object.entries(fields).map(([name, value]) => ` ${name}=${shown(value)}`);
    const line = { at: this.#scheduler.now, who, text: what + more.join('') };
    this.#lines.push(line);
    this.#mix(`${line.at} ${who} ${line.text}`);
  }

  #mix(text: string): void {
    for (let at = 0; at < text.length; at++) this.#hash = (Math.imul(this.#hash, 31) + text.charCodeAt(at)) | 0;
  }

  /** The lines that have to do with a task, those that name it or no task; else all. Of many, how it began and how it ended. */
  about(task: string | undefined): string[] {
    const lines = this.#lines
      .filter(({ text }) => concerns(text, task))
      .map(({ at, who, text }) => `${(at / 1000).toFixed(3).padStart(10)} s  ${who}: ${text}`);
    const left = lines.length - FIRST_LINES - LAST_LINES;
    if (left <= 0) return lines;
    return [...lines.slice(0, FIRST_LINES), `${left} more lines`.padStart(24), ...lines.slice(-LAST_LINES)];
  }
}

function concerns(text: string, task: string | undefined): boolean {
  // What becomes of a task does not depend on what its cluster knows of the demand.
  if (task !== undefined && /^\d+ (?:put|delete) \S+\/(?:demand|posts)\//.test(text)) return false;
  const named = /\b[0-9][0-9a-z]{26}\b/.exec(text)?.[0];
  return named === undefined || task === undefined || named === task;
}

function shown(value: unknown): string {
  if (value instanceof Error) return describeError(value);
  return typeof value === 'string' ? value : JSON.stringify(value);
}
