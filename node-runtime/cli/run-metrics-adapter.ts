import { resolve } from 'node:path';
import { CiError } from '../../shared/errors.ts';
import { parseClusterId } from '../../shared/ids.ts';
import type { LogLevel } from '../system/logger.ts';
import type { CliContext } from './context.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { readInCluster } from './kubernetes-options.ts';
import { parseListen } from './run-node.ts';
import { type EtcdArguments, readEtcdOptions } from './store-options.ts';

export interface AdapterCommandOptions extends EtcdArguments {
  readonly cluster: string;
  readonly listen: string;
  readonly 'tls-cert': string;
  readonly 'tls-key': string;
  readonly namespace: readonly string[];
  readonly 'service-account': string;
  readonly 'log-level': LogLevel;
  readonly json: boolean;
}

/** Serves until it is told to stop. */
export async function runMetricsAdapter(context: CliContext, options: AdapterCommandOptions): Promise<ExitCode> {
  const { environment, terminal, interrupts } = context;
  const etcd = await readEtcdOptions(context, options);
  if (!etcd) throw new CiError('invalid', 'Cannot serve metrics without --etcd: nodes of several machines need one');
  const inCluster = readInCluster(context, options);
  if (!inCluster)
    throw new CiError(
      'invalid',
      'Cannot serve metrics outside of Kubernetes: the variable KUBERNETES_SERVICE_HOST is missing',
    );
  const stopped = Promise.withResolvers<void>();
  using _ = interrupts.take(() => stopped.resolve());
  await using adapter = await context.startMetricsAdapter({
    cluster: parseClusterId(options.cluster),
    etcd,
    inCluster,
    listen: parseListen(options.listen),
    certificate: {
      cert: resolve(environment.folder, options['tls-cert']),
      key: resolve(environment.folder, options['tls-key']),
    },
    namespaces: options.namespace,
    logLevel: options['log-level'],
  });
  const text = `Serving external.metrics.k8s.io on port ${adapter.port}.`;
  terminal.print(options.json ? JSON.stringify({ event: 'ready', text, port: adapter.port }) : text);
  await stopped.promise;
  return EXIT.passed;
}
