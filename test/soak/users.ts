import { setTimeout as sleep } from 'node:timers/promises';
import { describeError, isCiError } from '../../shared/errors.ts';
import { Draw } from '../faults/draw.ts';
import type { Stage } from './stage.ts';
import { USER_ACTIONS, type UserAction } from './user-actions.ts';
import { UserWorld } from './user-world.ts';

/** So many things go on at once, at most: more load than the machine bears teaches nothing. */
const MOST_AT_ONCE = 24;
/** The last that is under way is a run with its task. */
const FINISH_LIMIT_MS = 180_000;
const MOST_TEXT = 500;

/** Users who do one thing after the other, at random times. The seed decides what they do, and in which order. */
export class Users implements AsyncDisposable {
  /** How often each thing was done. */
  readonly did = new Map<string, number>();
  actions = 0;
  readonly #draw: Draw;
  readonly #world: UserWorld;
  readonly #onSurprise: (text: string) => void;
  readonly #underWay = new Set<Promise<void>>();

  /** @param onSurprise told of what was not as it should be */
  constructor(stage: Stage, seed: string, onSurprise: (text: string) => void, signal: AbortSignal) {
    this.#draw = new Draw(`${seed}/actions`);
    this.#world = new UserWorld(stage, new Draw(`${seed}/details`), signal);
    this.#onSurprise = onSurprise;
  }

  get tasks(): number {
    return this.#world.tasks;
  }

  /** Until it has been enough; resolves when all that was begun has come to its end. */
  async run(actionsPerSecond: number, enough: AbortSignal): Promise<void> {
    while (!enough.aborted) {
      const pauseMs = (-Math.log(1 - this.#draw.number()) * 1000) / actionsPerSecond;
      await sleep(pauseMs, undefined, { signal: enough }).catch(() => undefined);
      const action = this.#pick();
      if (!enough.aborted && this.#underWay.size < MOST_AT_ONCE) this.#begin(action);
    }
    const late = sleep(FINISH_LIMIT_MS, 'late' as const, { ref: false });
    if ((await Promise.race([Promise.all(this.#underWay), late])) === 'late')
      this.#tell(`${this.#underWay.size} things had not ended after ${FINISH_LIMIT_MS / 1000} s`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#world.shaky[Symbol.asyncDispose]();
    await Promise.all(this.#underWay);
  }

  #pick(): UserAction {
    let at = this.#draw.number() * USER_ACTIONS.reduce((sum, { share }) => sum + share, 0);
    for (const action of USER_ACTIONS) {
      at -= action.share;
      if (at < 0) return action;
    }
    return USER_ACTIONS[0]!;
  }

  #begin(action: UserAction): void {
    const doing = action
      .run(this.#world)
      .then(() => this.#count(action.name))
      .catch((error: unknown) => {
        if (this.#world.signal.aborted) return;
        // A call that may not be repeated blindly, while connections to etcd were cut.
        if (isCiError(error) && (error.code === 'ambiguous' || error.code === 'unavailable'))
          this.#count(`${action.name}, given up as ${error.code}`);
        else this.#tell(`${action.name}: ${describeError(error)}`);
      })
      .finally(() => this.#underWay.delete(doing));
    this.#underWay.add(doing);
  }

  #count(name: string): void {
    this.actions++;
    this.did.set(name, (this.did.get(name) ?? 0) + 1);
  }

  #tell(text: string): void {
    this.#onSurprise(text.slice(0, MOST_TEXT));
  }
}
