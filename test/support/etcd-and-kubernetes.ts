import { after, before } from 'node:test';
import { type EtcdServer, startEtcd } from './etcd-server.ts';
import { KubernetesServer } from './kubernetes-server.ts';

/** A real etcd and an API server for the suite in which this is called: there from its first test to its last. */
export function etcdAndKubernetes(): { readonly etcd: EtcdServer; readonly kubernetes: KubernetesServer } {
  const started = new AsyncDisposableStack();
  let etcd: EtcdServer | undefined;
  let kubernetes: KubernetesServer | undefined;
  before(async () => {
    etcd = started.use(await startEtcd());
    kubernetes = started.use(await KubernetesServer.start());
  });
  after(() => started.disposeAsync());
  return {
    get etcd() {
      return etcd!;
    },
    get kubernetes() {
      return kubernetes!;
    },
  };
}
