import type * as vscode from 'vscode';

/** Where a task was sent from. */
export interface SentFrom {
  /** Of the workspace. */
  readonly root: string;
  /** That the paths in its log may be counted from, the likeliest first. */
  readonly folders: readonly string[];
}

const SENT = 'sentTasks';
/** Of older ones hardly anybody looks at the log again. */
const MOST_SENT = 100;

/** Where the tasks that were run from this workspace were sent from: in another folder, a file of the same name is another file. */
export class SentTasks {
  readonly #memory: Pick<vscode.Memento, 'get' | 'update'>;

  /** @param memory of the workspace */
  constructor(memory: Pick<vscode.Memento, 'get' | 'update'>) {
    this.#memory = memory;
  }

  /** Undefined if it is not known: the task is somebody else’s, or an old one. */
  of(task: string): SentFrom | undefined {
    return this.#sent.find(([id]) => id === task)?.[1];
  }

  async remember(task: string, { root, folders }: SentFrom): Promise<void> {
    await this.#memory.update(SENT, [[task, { root, folders }], ...this.#sent].slice(0, MOST_SENT));
  }

  /** The same files ran once more, as another task. */
  async repeated(task: string, again: string): Promise<void> {
    const from = this.of(task);
    if (from) await this.remember(again, from);
  }

  get #sent(): readonly (readonly [string, SentFrom])[] {
    return this.#memory.get(SENT, []);
  }
}
