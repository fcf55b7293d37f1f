import * as vscode from 'vscode';
import { describeError } from '../shared/errors.ts';

/** What the extension says of itself, in a channel of its own. */
export class OwnLog implements vscode.Disposable {
  readonly #channel = vscode.window.createOutputChannel('Simple CI', { log: true });

  note(text: string): void {
    this.#channel.info(text);
  }

  show(): void {
    this.#channel.show(true);
  }

  /** Something that the user wanted went wrong: where in the code, if that is known. */
  failed(error: unknown): void {
    this.#channel.error(error instanceof Error && error.stack !== undefined ? error.stack : describeError(error));
  }

  dispose(): void {
    this.#channel.dispose();
  }
}
