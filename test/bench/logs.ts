import { startCeph } from '../support/ceph-server.ts';
import { startEtcd } from '../support/etcd-server.ts';
import { realCluster } from '../support/real-cluster.ts';
import type { Bench } from './figures.ts';
import { measureLatency } from './log-latency.ts';
import { measureOpening } from './log-opening.ts';
import { measureRates } from './log-rates.ts';

/**
 * Logs on their way from a task's stdout to S3 and to those who watch: two nodes as users run them, on a real etcd and a real
 * Ceph, which share this machine's cores with the task, the watcher and this program.
 */
export const bench: Bench = async log => {
  await using etcd = await startEtcd();
  await using s3 = await startCeph();
  await using cluster = await realCluster({ etcd, s3 });
  // Without isolation, so that a task can read what it is to print.
  await cluster.add('n1', '--isolation', 'none', '--slots', '1');
  await cluster.add('n2', '--slots', '0');
  const rates = await measureRates(cluster, s3, log);
  const latency = await measureLatency(cluster, log);
  const opening = await measureOpening(cluster, etcd, s3, log);
  return [...rates, ...latency, ...opening];
};
