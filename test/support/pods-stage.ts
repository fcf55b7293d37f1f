import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type CephS3, startCeph } from './ceph-server.ts';
import { type EtcdServer, startEtcd } from './etcd-server.ts';
import { Kubelet } from './kubelet.ts';
import { KubernetesServer } from './kubernetes-server.ts';
import { type Role, shippedRole } from './rbac.ts';
import { type RealCluster, type RealNode, realCluster } from './real-cluster.ts';
import { programUnderTest } from './simple-ci.ts';
import { temporaryFolder } from './temporary-folder.ts';
import { eventually } from './test-tasks.ts';

/** Kubernetes as far as nodes with `--executor kubernetes` see it, with etcd and S3. */
export interface PodsStage extends AsyncDisposable {
  readonly kubernetes: KubernetesServer;
  readonly kubelet: Kubelet;
  cluster(options?: { readonly endpoints?: readonly string[] }): Promise<PodsCluster>;
}

export interface PodsCluster extends RealCluster {
  /** A node in a pod of this name, which has the rights of the chart unless the test says otherwise. */
  addNode(name: string, options?: NodeChanges): Promise<RealNode>;
  /** The name of the pod of a task, once a step of it has printed something. */
  podOf(task: string): Promise<string>;
}

interface NodeChanges {
  readonly args?: readonly string[];
  readonly roles?: readonly Role[];
  readonly template?: object;
  /** At which its pod is reached. */
  readonly address?: string;
}

const POD_ROLES = [shippedRole('mark-pods'), shippedRole('task-pods')];

export async function podsStage(etcd?: EtcdServer): Promise<PodsStage> {
  const started = new AsyncDisposableStack();
  const store = etcd ?? started.use(await startEtcd());
  const s3: CephS3 = started.use(await startCeph());
  const kubernetes = started.use(await KubernetesServer.start());
  const kubelet = started.use(new Kubelet(kubernetes));
  const folder = started.use(await temporaryFolder()).path;
  kubelet.images.set('simple-ci:test', { entryPoint: await programUnderTest() });
  kubelet.images.set('tool:1', { env: { TOOL: 'there', PATH: '/opt/tool/bin:/usr/bin:/bin' } });

  const cluster = async ({ endpoints }: { readonly endpoints?: readonly string[] } = {}): Promise<PodsCluster> => {
    const key = join(folder, 'secrets-key');
    await writeFile(key, randomBytes(32));
    const env = {
      KUBERNETES_SERVICE_HOST: '127.0.0.1',
      KUBERNETES_SERVICE_PORT: String(kubernetes.port),
      SIMPLE_CI_SECRETS_KEY: key,
    };
    const real = await realCluster({ etcd: store, s3, env, ...(endpoints && { endpoints }) });
    const addNode = async (
      name: string,
      { args = [], roles = POD_ROLES, template, address = '127.0.0.1' }: NodeChanges = {},
    ) => {
      const containers = [{ name: 'node', image: 'simple-ci:test' }];
      kubernetes.put('pods', name, { spec: { containers }, status: { podIP: address } });
      const account = kubernetes.account(name, { ci: roles });
      const own = ['--pod', name, '--service-account', account.folder];
      if (!args.includes('--pod-listen')) own.push('--pod-listen', '127.0.0.1:0');
      if (template) {
        await writeFile(join(folder, `${name}.json`), JSON.stringify(template));
        own.push('--pod-template', join(folder, `${name}.json`));
      }
      return real.add(name, '--executor', 'kubernetes', ...own, ...args);
    };
    const podOf = async (task: string) => {
      await real.running(task);
      const hasPrinted = async () => (await real.cli(['logs', task, '--raw'])).bytes.length > 0 || undefined;
      await eventually(`the steps of ${task} run`, hasPrinted, 90_000).catch((cause: unknown) => {
        const outputs = real.nodes.map(node => node.output().slice(-3000)).join('\n');
        throw new Error(`${JSON.stringify(kubelet.events.slice(-8))}\n${outputs}`, { cause });
      });
      return kubelet.started(`simple-ci-${task}`, 'task')!;
    };
    return {
      ...real,
      get token() {
        return real.token;
      },
      addNode,
      podOf,
    };
  };
  return { kubernetes, kubelet, cluster, [Symbol.asyncDispose]: () => started.disposeAsync() };
}
