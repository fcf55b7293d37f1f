import * as l10n from '@vscode/l10n';
import * as vscode from 'vscode';
import type { Clusters } from './clusters.ts';
import { outcomeIcon } from './outcome-icon.ts';
import { stateWord } from './outcome-word.ts';
import { plainLabel } from './plain-message.ts';

const LAST = 'lastSubmitted';

/** One item in the status bar: the last task run from this workspace, or how to run one. Absent while there is no cluster. */
export class StatusItem implements vscode.Disposable {
  readonly #clusters: Clusters;
  readonly #memory: vscode.Memento;
  readonly #item: vscode.StatusBarItem;
  readonly #listening: readonly Disposable[];
  #last: { readonly id: string; readonly name: string } | undefined;

  constructor(clusters: Clusters, memory: vscode.Memento) {
    this.#clusters = clusters;
    this.#memory = memory;
    this.#last = memory.get(LAST);
    this.#item = vscode.window.createStatusBarItem('simple-ci.status', vscode.StatusBarAlignment.Left, 10);
    this.#item.name = 'Simple CI';
    const { connection } = clusters;
    const update = () => this.#update();
    this.#listening = [connection.stateChanged.on(update), connection.connectionChanged.on(update)];
    this.#update();
  }

  async submitted(last: { readonly id: string; readonly name: string }): Promise<void> {
    this.#last = { id: last.id, name: last.name };
    await this.#memory.update(LAST, this.#last);
    this.#update();
  }

  dispose(): void {
    for (const listener of this.#listening) listener[Symbol.dispose]();
    this.#item.dispose();
  }

  #update(): void {
    const { connection, state } = this.#clusters.connection;
    if (connection.kind === 'none') {
      this.#item.hide();
      return;
    }
    const { choice } = connection;
    if (connection.kind === 'waiting' || connection.kind === 'refused') {
      this.#set(
        `$(warning) ${plainLabel(choice.label)}`,
        l10n.t`${connection.reason}. Click to try again.`,
        'simple-ci.reconnect',
      );
    } else {
      const task = this.#last && state.tasks?.get(this.#last.id);
      if (!task)
        this.#set(
          `$(play) ${l10n.t('Run task')}`,
          l10n.t`Run a task of this workspace on ${choice.label}`,
          'simple-ci.runTask',
        );
      else {
        const icon = task.state === 'finished' ? outcomeIcon(task.outcome).name : 'loading~spin';
        const text = `${task.name}: ${stateWord(task)}`;
        this.#set(`$(${icon}) ${plainLabel(task.name)}`, l10n.t`${text}. Click to open its log.`, {
          command: 'simple-ci.openLog',
          title: l10n.t('Open log'),
          arguments: [{ row: { task: task.id } }],
        });
      }
    }
    this.#item.show();
  }

  #set(text: string, tooltip: string, command: string | vscode.Command): void {
    this.#item.text = text;
    this.#item.tooltip = tooltip;
    this.#item.command = command;
    this.#item.accessibilityInformation = { label: `Simple CI: ${tooltip}` };
  }
}
