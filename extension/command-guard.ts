import * as l10n from '@vscode/l10n';
import * as vscode from 'vscode';
import { describeError } from '../shared/errors.ts';
import type { Clusters } from './clusters.ts';
import { showError } from './messages.ts';
import { NoAnswer } from './no-answer.ts';
import type { OwnLog } from './own-log.ts';

export interface CommandGuardOptions {
  readonly log: Pick<OwnLog, 'failed' | 'show'>;
  readonly clusters: Pick<Clusters, 'tryNow'>;
  /** Resolves with the answer that was clicked. */
  readonly ask?: typeof showError;
}

/** Runs what the user has asked for: what goes wrong is told, with a way on if there is one; what he cancels is not. */
export class CommandGuard {
  readonly #options: CommandGuardOptions;

  constructor(options: CommandGuardOptions) {
    this.#options = options;
  }

  async run(what: () => Promise<void>): Promise<void> {
    try {
      await what();
    } catch (error) {
      if (error instanceof vscode.CancellationError) return;
      this.#options.log.failed(error);
      void this.#tell(error, what);
    }
  }

  async #tell(error: unknown, what: () => Promise<void>): Promise<void> {
    const { log, clusters, ask = showError } = this.#options;
    const again = l10n.t('Try Again');
    const other = l10n.t('Switch Cluster');
    const details = l10n.t('Show Log');
    const waysOn = error instanceof NoAnswer ? [again, other] : [];
    const answer = await ask(describeError(error), ...waysOn, details);
    if (answer === details) log.show();
    if (answer === other) await vscode.commands.executeCommand('simple-ci.switchCluster');
    if (answer === again)
      await this.run(async () => {
        await clusters.tryNow();
        await what();
      });
  }
}
