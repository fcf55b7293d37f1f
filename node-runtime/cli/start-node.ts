import type { ClusterId, NodeId, TaskId } from '../../shared/ids.ts';

/** A node as the command line sees it. What it is made of meets in node.ts, which this folder does not know. */
export type StartNode = (options: NodeOptions) => Promise<RunningNode>;

export interface NodeOptions {
  readonly cluster: ClusterId;
  readonly nodeId?: NodeId;
  readonly etcd?: unknown;
  readonly s3?: unknown;
  /** Embedded store, directory objects, caches and sandboxes. */
  readonly dataDir: string;
  readonly listen: { readonly host: string; readonly port: number };
  readonly advertise?: string;
  readonly hostNames?: readonly string[];
  readonly slots: number;
  readonly labels: readonly string[];
  readonly isolation: 'auto' | 'bubblewrap' | 'user' | 'none';
  readonly drainTimeoutMs: number;
  readonly secretsKey?: Buffer;
  /** Which tasks this node may claim. Default: all. */
  readonly accepts?: (id: TaskId) => boolean;
  readonly supervisorCommand: readonly [string, ...string[]];
  onNotice(text: string): void;
  readonly logLevel: string;
}

export interface RunningNode extends AsyncDisposable {
  readonly address: string;
  readonly adminToken?: string;
  localToken(): Promise<string>;
  drain(signal: AbortSignal): Promise<void>;
  hurry(): void;
  readonly ended: Promise<void>;
}
