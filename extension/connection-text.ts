import * as l10n from '@vscode/l10n';
import { formatDuration } from '../shared/duration.ts';
import type { ConnectionState } from './connection.ts';

export interface ConnectionText {
  /** Beside the title of the view. */
  readonly cluster: string;
  /** Above the tree, when something is not as it should be. */
  readonly message: string | undefined;
}

/** Where the connection stands, in words. */
export function connectionText(state: ConnectionState): ConnectionText {
  switch (state.kind) {
    case 'none':
      return { cluster: '', message: undefined };
    case 'connecting':
      return { cluster: state.choice.label, message: l10n.t`Connecting to ${state.choice.label} …` };
    case 'connected':
      return { cluster: state.choice.label, message: undefined };
    case 'waiting': {
      const again = l10n.t('Trying again in {0}.', formatDuration(state.delayMs));
      return { cluster: l10n.t`${state.choice.label} – not reachable`, message: `${state.reason}. ${again}` };
    }
    case 'refused':
      return { cluster: l10n.t`${state.choice.label} – refused`, message: state.reason };
  }
}
