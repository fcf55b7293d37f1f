import type { ClusterId, NodeId, TaskId } from '../shared/ids.ts';
import type { InCluster } from './kubernetes/kubernetes-api.ts';
import type { S3Options } from './objects/s3-address.ts';
import type { RetentionOptions } from './queue/retention.ts';
import type { Isolation } from './runner/sandbox.ts';
import type { EtcdOptions } from './store/etcd-options.ts';
import type { LogLevel } from './system/logger.ts';
import type { OtlpOptions } from './system/otlp-sink.ts';

/** Everything a node can be told. Only the cluster id is a decision; the command line has defaults for the rest. */
export interface NodeOptions {
  readonly cluster: ClusterId;
  /** Default: the name of the host. */
  readonly nodeId?: NodeId;
  /** Absent: the embedded store, in the data folder. */
  readonly etcd?: EtcdOptions;
  /** Absent: a directory, in the data folder. */
  readonly s3?: S3Options;
  /** Embedded store, directory objects, caches and sandboxes. With etcd and S3, nothing in it matters. */
  readonly dataDir: string;
  /**
   * Under which name its sandboxes lie there. Default: the name of the node. Nodes that share one clear away what the dead
   * among them have left, and so must be of one machine.
   */
  readonly sandboxFolder?: string;
  /** How large the data folder may become, as far as the node decides that. Absent: as its disk is. */
  readonly dataBytes?: number;
  readonly listen: { readonly host: string; readonly port: number };
  /** Where others reach this node. Default: where it listens. */
  readonly advertise?: string;
  /** More host names under which it may be addressed. */
  readonly hostNames?: readonly string[];
  /** 0: it serves the API and runs no tasks. */
  readonly slots: number;
  readonly labels: readonly string[];
  readonly isolation: Isolation | 'auto';
  /** Tasks run in pods of their own. Absent: in sandboxes of this machine. */
  readonly taskPods?: {
    /** Where pods of tasks connect to. */
    readonly listen: { readonly host: string; readonly port: number };
    /** A file of JSON that says what they are like. */
    readonly template?: string;
  };
  readonly drainTimeoutMs: number;
  /** The pod in which it runs: Kubernetes is told when it is busy. */
  readonly pod?: { readonly inCluster: InCluster; readonly name: string };
  /** It may be the one that sets how many pods its Deployment has. */
  readonly scale?: {
    readonly deployment: string;
    readonly min: number;
    readonly max: number;
    /** How long fewer nodes must have been enough. */
    readonly scaleInAfterMs: number;
  };
  readonly secretsKey?: Buffer;
  /** Which tasks it may claim. Default: all that fit. */
  readonly accepts?: (id: TaskId) => boolean;
  /** The argument list that runs `simple-ci supervise`. */
  readonly supervisorCommand: readonly [string, ...string[]];
  readonly retention?: RetentionOptions;
  readonly version: string;
  /** Plain sentences for the person who started it. */
  readonly onNotice: (text: string) => void;
  /** The first admin token of a new cluster, as soon as it is made: to be shown, as it is not to be had again. */
  readonly onAdminToken?: (token: string) => void;
  readonly logLevel: LogLevel;
  /** How long what tasks print may wait to be stored. Default: 500 ms. */
  readonly logFlushMs?: number;
  /** Where traces of finished tasks go. Absent: nowhere. */
  readonly otlp?: OtlpOptions;
}

export interface RunningNode extends AsyncDisposable {
  /** The API's URL. */
  readonly address: string;
  /** A token for the person who runs this process, kept in the data folder. */
  localToken(): Promise<string>;
  /**
   * Claims nothing more, lets running tasks finish within the drain timeout, hands back the rest, leaves the cluster: also
   * when its stores do not answer, some 40 s after the timeout.
   */
  drain(): Promise<void>;
  /** Ends a drain's patience: what runs is handed back now. */
  hurry(): void;
  /** Settles when the node has stopped, whatever failed on the way; rejects if it stopped by a failure, or not cleanly. */
  readonly ended: Promise<void>;
}
