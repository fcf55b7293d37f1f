import * as l10n from '@vscode/l10n';
import * as vscode from 'vscode';
import { describeError } from '../shared/errors.ts';
import { showError } from './messages.ts';

/** What the extension says of itself: in a channel of its own, and, when somebody waits for an answer, in a message. */
export class OwnLog implements vscode.Disposable {
  readonly #channel = vscode.window.createOutputChannel('Simple CI', { log: true });

  note(text: string): void {
    this.#channel.info(text);
  }

  show(): void {
    this.#channel.show(true);
  }

  /** Runs what the user has asked for; what goes wrong is told, what he cancels is not. */
  async guard(what: () => Promise<void>): Promise<void> {
    try {
      await what();
    } catch (error) {
      if (error instanceof vscode.CancellationError) return;
      const message = describeError(error);
      this.#channel.error(error instanceof Error && error.stack !== undefined ? error.stack : message);
      const details = l10n.t('Show Log');
      void showError(message, details).then(answer => {
        if (answer === details) this.show();
      });
    }
  }

  dispose(): void {
    this.#channel.dispose();
  }
}
