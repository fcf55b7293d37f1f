import { type ErrorCode, isCiError } from '../../shared/errors.ts';
import { EXIT, type ExitCode } from '../../shared/exit-codes.ts';

export { EXIT, type ExitCode, exitCodeOfOutcome } from '../../shared/exit-codes.ts';

export function exitCodeOfError(error: unknown): ExitCode {
  return isCiError(error) ? EXIT_OF_CODE[error.code] : EXIT.unavailable;
}

const EXIT_OF_CODE: Readonly<Record<ErrorCode, ExitCode>> = {
  invalid: EXIT.usage,
  unauthenticated: EXIT.usage,
  forbidden: EXIT.usage,
  'not-found': EXIT.usage,
  conflict: EXIT.usage,
  gone: EXIT.usage,
  'too-large': EXIT.usage,
  'newer-format': EXIT.usage,
  'rate-limited': EXIT.unavailable,
  internal: EXIT.unavailable,
  unavailable: EXIT.unavailable,
  ambiguous: EXIT.unavailable,
};
