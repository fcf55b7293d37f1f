import { type Context, createContext, Script } from 'node:vm';

/** Longer than this no expression works on a few lines. Milliseconds. */
const LIMIT_MS = 500;

/**
 * Does some work with regular expressions that others have written, and ends it if it goes on for too long: such an expression can go
 * back and forth for years over one line. The work must change nothing, as it may be ended anywhere. Tried twice: a machine that was
 * halted meanwhile is no fault of the expression.
 */
export class BoundedWork {
  readonly #script = new Script('work()');
  readonly #global: { work?: () => unknown } = {};
  readonly #context: Context = createContext(this.#global);

  /** Undefined if it was ended. */
  do<T>(work: () => T): { readonly done: T } | undefined {
    return this.#attempt(work) ?? this.#attempt(work);
  }

  #attempt<T>(work: () => T): { readonly done: T } | undefined {
    this.#global.work = work;
    try {
      return { done: this.#script.runInContext(this.#context, { timeout: LIMIT_MS }) as T };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT') return undefined;
      throw error;
    } finally {
      delete this.#global.work;
    }
  }
}
