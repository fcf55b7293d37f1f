import { createContext, Script } from 'node:vm';

/** Longer than this no expression works on a few lines. Milliseconds. */
const LIMIT_MS = 500;

/**
 * Does some work with regular expressions that others have written, and ends it if it goes on for too long: such an expression can go
 * back and forth for years over one line. The work must change nothing, as it may be ended anywhere. Tried twice: a machine that was
 * halted meanwhile is no fault of the expression.
 */
export function boundedWork<T>(work: () => T): { readonly done: T } | undefined {
  return attempt(work) ?? attempt(work);
}

function attempt<T>(work: () => T): { readonly done: T } | undefined {
  try {
    const done = new Script('work()').runInContext(createContext({ work }), { timeout: LIMIT_MS }) as T;
    return { done };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT') return undefined;
    throw error;
  }
}
