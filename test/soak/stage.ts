import { randomBytes } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { transform } from 'esbuild';
import { type Client, createClient } from '../../shared/client.ts';
import { type CephS3, startCeph } from '../support/ceph-server.ts';
import { type CuttableProxy, startProxy } from '../support/cuttable-proxy.ts';
import { type EtcdServer, startEtcd } from '../support/etcd-server.ts';
import { FaultProxy } from '../support/fault-proxy.ts';
import { type NodeProcess, startNode } from '../support/simple-ci.ts';

const SLOTS = 4;

/** One node, the built program as a process of its own, with a real etcd and a real S3, and ways to it and from it that can be cut. */
export interface Stage extends AsyncDisposable {
  readonly cluster: string;
  readonly node: NodeProcess;
  readonly token: string;
  readonly etcd: EtcdServer;
  readonly s3: CephS3;
  /** Between the node and etcd. */
  readonly wayToEtcd: FaultProxy;
  /** Between followers and the node. */
  readonly wayToNode: CuttableProxy;
  /** Asks the node itself. */
  readonly client: Client;
  /** Where the node keeps what is on its disk. */
  readonly data: string;
  /** Where the probes in node and supervisor write. */
  readonly probes: string;
  /** For whatever users keep. */
  readonly home: string;
}

export async function setStage(): Promise<Stage> {
  await using started = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'simple-ci-soak-'));
  started.defer(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  // Tasks run as other users, and their folders are to be in it.
  await chmod(folder, 0o711);
  const [data, probes, home] = ['data', 'probes', 'home'].map(name => join(folder, name)) as [string, string, string];
  await mkdir(probes);
  await mkdir(home);
  const secretsKey = join(folder, 'secrets-key');
  await writeFile(secretsKey, randomBytes(32).toString('base64'), { mode: 0o600 });
  const etcd = started.use(await startEtcd({ compactEvery: '5m' }));
  const s3 = started.use(await startCeph());
  const wayToEtcd = started.use(await FaultProxy.start(etcd.endpoints[0]));
  const cluster = `acme/soak-${randomBytes(4).toString('hex')}`;
  const options = {
    ...{ cluster, etcd: wayToEtcd.endpoint, s3: s3.address, data, slots: String(SLOTS) },
    ...{ 'node-id': 'n1', 'secrets-key': secretsKey },
  };
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
  const node = started.use(await startNode(args, s3.environment, { by: await withProbe(probes) }));
  const token = node.adminToken;
  if (token === undefined) throw new Error(`The node has formed no cluster: ${node.output()}`);
  const wayToNode = started.use(await startProxy(node.address));
  const client = started.use(createClient({ urls: [node.address], token }));
  const whole = started.move();
  return {
    ...{ cluster, node, token, etcd, s3, wayToEtcd, wayToNode, client, data, probes, home },
    [Symbol.asyncDispose]: () => whole.disposeAsync(),
  };
}

/**
 * What becomes Node with the probe loaded first. The supervisor is started with the same arguments of Node. It dies with this process.
 * The probe goes as JavaScript: Node's own remover of types would take 10 MB in the processes that are measured.
 */
async function withProbe(folder: string): Promise<string[]> {
  const source = await readFile(new URL('./probe.ts', import.meta.url), 'utf8');
  const file = join(folder, 'probe.mjs');
  await writeFile(file, (await transform(source, { loader: 'ts' })).code);
  const command = 'import=$1; program=$2; shift 2; exec setpriv --pdeathsig KILL -- "$program" --import "$import" "$@"';
  return ['sh', '-c', command, 'sh', pathToFileURL(file).href];
}
