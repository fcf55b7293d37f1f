import type { LogMark } from '../log.ts';
import { STEP_OUTCOMES } from '../step-outcomes.ts';
import type { KnownStep } from './task-life.ts';

/** The steps of an attempt under way, from the marks in its log: in whatever order they come, and however often. */
export class LiveSteps {
  readonly #steps = new Map<number, KnownStep>();

  get steps(): ReadonlyMap<number, KnownStep> {
    return this.#steps;
  }

  add({ kind, step, text, time }: LogMark): void {
    if (step === undefined || kind === 'note') return;
    const known = this.#steps.get(step);
    if (kind === 'step-started') this.#steps.set(step, { ...known, name: text, started: time });
    else if (known) this.#steps.set(step, { ...known, finished: time, ...outcomeOf(text) });
  }
}

/** `failed: exited with 3`: the outcome, and after it, for people, why. */
function outcomeOf(text: string): Pick<KnownStep, 'outcome'> {
  const outcome = STEP_OUTCOMES.find(word => word === text.split(':')[0]);
  return outcome === undefined ? {} : { outcome };
}
