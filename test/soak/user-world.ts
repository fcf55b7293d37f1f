import { setTimeout as sleep } from 'node:timers/promises';
import type { TaskView } from '../../shared/api.ts';
import { type Client, createClient } from '../../shared/client.ts';
import { isCiError } from '../../shared/errors.ts';
import { newTaskId } from '../../shared/ids.ts';
import type { Outcome } from '../../shared/result.ts';
import type { TaskSpec } from '../../shared/task.ts';
import type { Draw } from '../faults/draw.ts';
import type { Stage } from './stage.ts';

type Finished = Extract<TaskView, { state: 'finished' }>;

/** A task that has ended, for who looks at old ones. */
export interface Ended {
  readonly id: string;
  readonly log: string;
}

const REMEMBERED = 100;
const PAUSE_MS = 400;
/** A call that may be repeated is, while the node has no etcd for a moment. */
const PATIENCE_MS = 60_000;

/** What users have in their hands: ways to ask, and what they remember. */
export class UserWorld {
  readonly stage: Stage;
  /** Over the way that is cut now and then: for streams, which must outlive that. */
  readonly shaky: Client;
  readonly draw: Draw;
  readonly signal: AbortSignal;
  readonly ended: Ended[] = [];
  tasks = 0;

  constructor(stage: Stage, draw: Draw, signal: AbortSignal) {
    this.stage = stage;
    this.draw = draw;
    this.signal = signal;
    this.shaky = createClient({ urls: [stage.wayToNode.url], token: stage.token });
  }

  /** Asks again where that is safe and the node could not answer. */
  async ask<T>(call: () => Promise<T>): Promise<T> {
    const end = performance.now() + PATIENCE_MS;
    for (;;) {
      try {
        return await call();
      } catch (error) {
        const isPassing = isCiError(error) && (error.code === 'unavailable' || error.code === 'ambiguous');
        if (!isPassing || this.signal.aborted || performance.now() > end) throw error;
        await this.pause(PAUSE_MS);
      }
    }
  }

  async submit(task: Partial<TaskSpec>): Promise<string> {
    const id = newTaskId(5, Date.now(), Math.random);
    const body = { id, task: { name: 'soak', steps: [], ...task } as TaskSpec };
    await this.ask(() => this.stage.client.call('submitTask', { body }, this.signal));
    return id;
  }

  view(id: string): Promise<TaskView> {
    return this.ask(() => this.stage.client.call('getTask', { params: { id } }, this.signal));
  }

  async running(id: string): Promise<void> {
    while ((await this.view(id)).state === 'queued') await this.pause(PAUSE_MS);
  }

  /** Waits for its end, which must be the one that is expected. */
  async finish(id: string, expected: Outcome): Promise<Finished> {
    for (;;) {
      const view = await this.view(id);
      if (view.state === 'finished') {
        this.tasks++;
        const { outcome, message } = view.result;
        if (outcome !== expected) throw new Error(`Task ${id} is ${outcome}, not ${expected}: ${message}`);
        return view;
      }
      await this.pause(PAUSE_MS);
    }
  }

  remember(ended: Ended): void {
    this.ended.push(ended);
    if (this.ended.length > REMEMBERED) this.ended.shift();
  }

  async pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.signal });
  }
}
