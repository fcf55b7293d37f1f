import type { ClusterId } from '../shared/ids.ts';
import type { InCluster } from './kubernetes/kubernetes-api.ts';
import type { EtcdOptions } from './store/etcd-options.ts';
import type { LogLevel } from './system/logger.ts';

/** Everything `simple-ci metrics-adapter` can be told. */
export interface AdapterOptions {
  readonly cluster: ClusterId;
  readonly etcd: EtcdOptions;
  readonly inCluster: InCluster;
  readonly listen: { readonly host: string; readonly port: number };
  readonly certificate: { readonly cert: string; readonly key: string };
  /** Default: its own. */
  readonly namespaces: readonly string[];
  readonly logLevel: LogLevel;
}

export interface RunningAdapter extends AsyncDisposable {
  readonly port: number;
}
