import type { LogEvent, LogMark } from '../log.ts';
import type { TaskTone } from '../task-tone.ts';
import type { TextLink } from './links.ts';
import type { LogQuery } from './log-search.ts';
import type { ByteRange } from './log-window.ts';

/** What the log panel shows of its task besides the log. */
export interface PanelTask {
  readonly id: string;
  readonly name: string;
  /** For people: `queued`, `running`, `passed`, … */
  readonly state: string;
  readonly tone: TaskTone;
  /** A sentence for people: why it waits, or how it ended. */
  readonly message: string;
  readonly isFinished: boolean;
  readonly attempts: readonly number[];
  /** How those ended that were not the last, in words. */
  readonly pastEnds: Readonly<Record<number, string>>;
}

/** From the extension to the page. */
export type ToPanel =
  | { readonly type: 'task'; readonly task: PanelTask | undefined }
  /** The log begins anew: everything before is forgotten. */
  | {
      readonly type: 'restart';
      readonly attempt: number | undefined;
      /** Of the line to show and choose; absent: the end, or where one was. */
      readonly line?: number;
    }
  | { readonly type: 'events'; readonly events: readonly LogEvent[] }
  /** There is nothing more to follow. */
  | { readonly type: 'ended' }
  | { readonly type: 'failed'; readonly message: string }
  | {
      readonly type: 'range';
      readonly request: number;
      readonly events: readonly LogEvent[];
      /** Why they could not be read. */
      readonly problem?: string;
    }
  | { readonly type: 'marks'; readonly request: number; readonly marks: readonly LogMark[] }
  | { readonly type: 'hits'; readonly request: number; readonly offsets: readonly number[]; readonly searched: number }
  | { readonly type: 'searched'; readonly request: number; readonly problem?: string }
  | { readonly type: 'find' }
  | { readonly type: 'timestamps' };

/** From the page to the extension. */
export type FromPanel =
  | { readonly type: 'ready'; readonly state: PanelState | undefined }
  /** So many events have been drawn: as many more may come. */
  | { readonly type: 'taken' }
  | { readonly type: 'read'; readonly request: number; readonly fence: number; readonly range: ByteRange }
  | { readonly type: 'marks'; readonly request: number; readonly fence: number }
  | { readonly type: 'search'; readonly request: number; readonly fence: number; readonly query: LogQuery }
  | { readonly type: 'stopSearch' }
  | { readonly type: 'attempt'; readonly attempt: number | undefined }
  | { readonly type: 'link'; readonly link: TextLink }
  | { readonly type: 'state'; readonly state: PanelState };

/** What survives when the page is gone and comes back. */
export interface PanelState {
  readonly task: string;
  readonly attempt?: number;
  /** Of the first row to be seen; absent: it follows. */
  readonly offset?: number;
  readonly timestamps: TimestampStyle;
  /** What is chosen. */
  readonly line?: LogLineName;
}

/** A line of a task's log, as links name it. */
export interface LogLineName {
  readonly attempt: number;
  /** Of its first byte. */
  readonly offset: number;
}

/** Where a log is to be opened. */
export interface LogPlace {
  /** `line`: chosen, with some lines before it; `top`: the first to be seen. */
  readonly kind: 'line' | 'top';
  readonly offset: number;
  /** In another one the place means nothing; absent: in any. */
  readonly attempt?: number | undefined;
}

export const TIMESTAMP_STYLES = ['off', 'relative', 'absolute'] as const;
export type TimestampStyle = (typeof TIMESTAMP_STYLES)[number];
