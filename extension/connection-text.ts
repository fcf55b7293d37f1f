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
      return { cluster: state.choice.label, message: `Connecting to ${state.choice.label} …` };
    case 'connected':
      return { cluster: state.choice.label, message: undefined };
    case 'waiting': {
      const again = `Trying again in ${formatDuration(state.delayMs)}.`;
      return { cluster: `${state.choice.label} – not reachable`, message: `${state.reason}. ${again}` };
    }
    case 'refused':
      return { cluster: `${state.choice.label} – refused`, message: state.reason };
  }
}
