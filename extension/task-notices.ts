import type { ClusterConnection } from './cluster-connection.ts';
import { type NoticeSetting, type TaskNotice, taskNotice } from './task-notice.ts';

export interface TaskNoticesOptions {
  readonly connection: Pick<ClusterConnection, 'state' | 'stateChanged' | 'connection' | 'connectionChanged' | 'want'>;
  readonly setting: () => NoticeSetting;
  /** Whether the user looks at the task anyway. */
  readonly isShown: (task: string) => boolean;
  readonly show: (notice: TaskNotice) => void;
}

/** Waits for the end of tasks that were run from this window, and tells of it. Others are somebody else’s, or another window’s. */
export class TaskNotices implements Disposable {
  readonly #options: TaskNoticesOptions;
  readonly #awaited = new Set<string>();
  readonly #listening: readonly Disposable[];
  /** On which they run. */
  #cluster: string | undefined;
  #want: Disposable | undefined;

  constructor(options: TaskNoticesOptions) {
    this.#options = options;
    const { connection } = options;
    this.#listening = [
      connection.stateChanged.on(() => this.#look()),
      connection.connectionChanged.on(() => this.#checkCluster()),
    ];
  }

  /** A task that has just been submitted. */
  follow(task: string): void {
    if (this.#options.setting() === 'off') return;
    this.#checkCluster();
    this.#awaited.add(task);
    this.#want ??= this.#options.connection.want();
    this.#look();
  }

  [Symbol.dispose](): void {
    for (const listener of this.#listening) listener[Symbol.dispose]();
    this.#awaited.clear();
    this.#letGo();
  }

  /** Of tasks of another cluster nobody hears any more. */
  #checkCluster(): void {
    const { connection } = this.#options.connection;
    const cluster = connection.kind === 'none' ? undefined : connection.choice.id;
    if (cluster === this.#cluster) return;
    this.#cluster = cluster;
    this.#awaited.clear();
    this.#letGo();
  }

  #look(): void {
    const { connection, setting, isShown, show } = this.#options;
    const { tasks } = connection.state;
    for (const id of this.#awaited) {
      const task = tasks?.get(id);
      if (task?.state !== 'finished') continue;
      this.#awaited.delete(id);
      const notice = taskNotice(task, setting());
      if (notice && !isShown(id)) show(notice);
    }
    if (this.#awaited.size === 0) this.#letGo();
  }

  #letGo(): void {
    this.#want?.[Symbol.dispose]();
    this.#want = undefined;
  }
}
