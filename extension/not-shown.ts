import * as l10n from '@vscode/l10n';
import { describeError, isCiError } from '../shared/errors.ts';
import type { ConnectionState } from './connection.ts';

/** Why a task cannot be shown. One that this cluster does not know may well be on another, which was chosen when its page was opened. */
export function whyNotShown(error: unknown, connection: ConnectionState): string {
  if (!isCiError(error, 'not-found') || connection.kind === 'none') return describeError(error);
  return l10n.t(
    '{0} is chosen now, and does not have this task. It may be on another cluster.',
    connection.choice.label,
  );
}
