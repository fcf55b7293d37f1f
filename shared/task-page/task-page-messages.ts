import type { TaskTone } from '../task-tone.ts';
import type { LifeSpan } from './task-life.ts';

/** What the page of a task shows. */
export interface TaskPageContent {
  readonly id: string;
  readonly name: string;
  /** For people: `queued`, `running`, `passed`, `timed out`, … */
  readonly state: string;
  readonly tone: TaskTone;
  /** A sentence for people: why it waits, where it runs, or how it ended. */
  readonly message: string;
  readonly isFinished: boolean;
  readonly hasLog: boolean;
  readonly facts: readonly Fact[];
  readonly spans: readonly LifeSpan[];
  /** From when to when the spans are drawn; `to` is now while the task is under way. */
  readonly from: number;
  readonly to: number;
  readonly artifacts: readonly { readonly path: string; readonly size: string }[];
}

/** Something to know of a task; a number is a time, shown as the user's own clock would. */
export interface Fact {
  readonly label: string;
  readonly value: string | number;
}

/** From the extension to the page. */
export type ToTaskPage =
  | { readonly type: 'content'; readonly content: TaskPageContent }
  /** The cluster cannot be asked: what is shown is what was known. */
  | { readonly type: 'problem'; readonly problem: string };

/** From the page to the extension. */
export type FromTaskPage =
  | { readonly type: 'ready'; readonly state: TaskPageState | undefined }
  | { readonly type: 'log'; readonly attempt?: number | undefined; readonly step?: number | undefined }
  | { readonly type: 'runAgain' }
  | { readonly type: 'cancel' }
  | { readonly type: 'saveAll' }
  | { readonly type: 'artifact'; readonly path: string; readonly action: 'open' | 'compare' | 'save' };

/** What survives when the page is gone and comes back. */
export interface TaskPageState {
  readonly task: string;
}
