import type * as vscode from 'vscode';
import type { TaskSummary } from '../shared/api.ts';
import type { ClusterConnection } from './cluster-connection.ts';
import { type NoticeSetting, type TaskNotice, taskNotice } from './task-notice.ts';

export interface TaskNoticesOptions {
  readonly connection: Pick<ClusterConnection, 'state' | 'stateChanged' | 'connection' | 'connectionChanged' | 'want'>;
  /** Of the workspace. */
  readonly memory: Pick<vscode.Memento, 'get' | 'update'>;
  readonly setting: () => NoticeSetting;
  /** Whether the user looks at the task anyway. */
  readonly isShown: (task: string) => boolean;
  readonly show: (notice: TaskNotice) => void;
}

interface FollowedTask {
  readonly task: string;
  /** On which it runs. */
  readonly cluster: string;
}

const FOLLOWED = 'followedTasks';
/** Nobody waits for more at once; tasks that are never heard of again make room for others. */
const MOST_FOLLOWED = 100;

/**
 * Waits for the end of tasks that were run from this window, also before it was loaded anew, and tells of it. Others are somebody
 * else’s, or another window’s.
 */
export class TaskNotices implements Disposable {
  readonly #options: TaskNoticesOptions;
  readonly #listening: readonly Disposable[];
  /** Run since the window was loaded: the cluster will tell of them, though it may not have yet. */
  readonly #fresh = new Set<string>();
  /** The newest first. Those of a cluster that was left are told of when it is the one that is meant again. */
  #followed: readonly FollowedTask[];
  #cluster: string | undefined;
  #want: Disposable | undefined;

  constructor(options: TaskNoticesOptions) {
    this.#options = options;
    this.#followed = options.memory.get<readonly FollowedTask[]>(FOLLOWED, []);
    const { connection } = options;
    this.#listening = [
      connection.stateChanged.on(() => this.#look()),
      connection.connectionChanged.on(() => this.#connectionChanged()),
    ];
  }

  /** A task that has just been submitted. */
  follow(task: string): void {
    if (this.#options.setting() === 'off') return;
    this.#checkCluster();
    if (this.#cluster === undefined) return;
    this.#fresh.add(task);
    this.#remember([{ task, cluster: this.#cluster }, ...this.#followed].slice(0, MOST_FOLLOWED));
    this.#want ??= this.#options.connection.want();
    this.#look();
  }

  [Symbol.dispose](): void {
    for (const listener of this.#listening) listener[Symbol.dispose]();
    this.#letGo();
  }

  /** For tasks of before nothing is connected: once somebody else has done that, it stays so until they are over. */
  #connectionChanged(): void {
    this.#checkCluster();
    const { connection } = this.#options;
    if (connection.connection.kind === 'connected' && this.#isWaiting()) this.#want ??= connection.want();
  }

  /** Of tasks of another cluster nobody hears any more. */
  #checkCluster(): void {
    const { connection } = this.#options.connection;
    const cluster = connection.kind === 'none' ? undefined : connection.choice.id;
    if (cluster === this.#cluster) return;
    this.#cluster = cluster;
    this.#letGo();
  }

  #look(): void {
    const { tasks } = this.#options.connection.state;
    for (const followed of this.#ofCluster()) {
      const task = tasks?.get(followed.task);
      if (task?.state !== 'finished') continue;
      this.#remember(this.#followed.filter(other => other !== followed));
      this.#tell(task);
    }
    if (!this.#isWaiting()) this.#letGo();
  }

  #tell(task: TaskSummary): void {
    const { setting, isShown, show } = this.#options;
    const notice = taskNotice(task, setting());
    if (notice && !isShown(task.id)) show(notice);
  }

  /** For what the cluster has told of, or may yet tell of: of a task of long ago it does not. */
  #isWaiting(): boolean {
    const { tasks } = this.#options.connection.state;
    return this.#ofCluster().some(({ task }) => tasks === undefined || tasks.has(task) || this.#fresh.has(task));
  }

  #ofCluster(): readonly FollowedTask[] {
    return this.#followed.filter(({ cluster }) => cluster === this.#cluster);
  }

  #remember(followed: readonly FollowedTask[]): void {
    this.#followed = followed;
    void this.#options.memory.update(FOLLOWED, followed);
  }

  #letGo(): void {
    this.#want?.[Symbol.dispose]();
    this.#want = undefined;
  }
}
