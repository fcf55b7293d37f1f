import { join, resolve } from 'node:path';
import { CiError, describeError } from '../../shared/errors.ts';
import { quote } from '../../shared/ids.ts';
import type { NodeOptions } from '../options.ts';
import type { Finding } from '../system/finding.ts';
import type { ConnectionOptions } from './common-options.ts';
import { connect } from './connect.ts';
import type { CliContext } from './context.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { formatFindings, sumUp } from './format-findings.ts';
import { activeLogin, readLogins } from './logins.ts';
import { machineFindings } from './machine-findings.ts';
import { settingFindings } from './setting-findings.ts';
import { readEtcdOptions, readS3Options, type StoreArguments } from './store-options.ts';

type Name = 'machine' | 'isolation' | 'settings' | 'etcd' | 's3' | 'cluster';
const NAMES: readonly Name[] = ['machine', 'isolation', 'settings', 'etcd', 's3', 'cluster'];

type Options = ConnectionOptions &
  StoreArguments & {
    readonly isolation: NodeOptions['isolation'];
    readonly only: readonly string[];
    readonly json: boolean;
  };

interface Examination {
  readonly name: Name;
  readonly title: string;
  readonly look: () => Promise<readonly Finding[]>;
}

/** Looks at one thing after the other, and says what it sees as it goes. */
export async function runDoctor(context: CliContext, options: Options): Promise<ExitCode> {
  const { terminal, signal } = context;
  const only = options.only.flatMap(parseNames);
  const findings: (Finding & { readonly about: string })[] = [];
  for (const { name, title, look } of await examinations(context, options)) {
    if (only.length > 0 && !only.includes(name)) continue;
    if (!options.json) terminal.print(terminal.style.bold(title));
    terminal.status(`Looking at ${title} …`);
    const found = await look().catch((error: unknown): Finding[] => {
      signal.throwIfAborted();
      return [{ level: 'problem', subject: 'failed', what: describeError(error) }];
    });
    terminal.status(undefined);
    if (!options.json) for (const line of formatFindings(found, terminal.columns, terminal.style)) terminal.print(line);
    findings.push(...found.map(finding => ({ about: title, ...finding })));
  }
  const healthy = findings.every(finding => finding.level !== 'problem');
  terminal.print(options.json ? JSON.stringify({ healthy, findings }) : sumUp(findings, terminal.style));
  return healthy ? EXIT.passed : EXIT.failed;
}

function parseNames(list: string): string[] {
  const names = list.split(',').filter(name => name !== '');
  for (const name of names) {
    if (!NAMES.some(known => known === name))
      throw new CiError('invalid', `Cannot use --only as it is none of ${NAMES.join(', ')}: ${quote(name)}`);
  }
  return names;
}

async function examinations(context: CliContext, options: Options): Promise<Examination[]> {
  const { environment } = context;
  const { etcd, s3, url, data } = options;
  const dataDir = data === undefined ? join(environment.dataFolder, 'local') : resolve(environment.folder, data);
  const login = activeLogin(await readLogins(environment.configFolder));
  const hasCluster = url.length > 0 || (login !== undefined && data === undefined);
  const isNode = etcd !== undefined || s3 !== undefined;
  const all: readonly (Examination | undefined)[] = [
    {
      name: 'machine',
      title: 'This machine',
      look: () => machineFindings(context, { path: dataDir, holdsCluster: !isNode }),
    },
    {
      name: 'isolation',
      title: 'Isolation of tasks',
      look: () => isolationFindings(context, options.isolation, isNode),
    },
    isNode ? { name: 'settings', title: 'Settings', look: () => settingFindings(context, options) } : undefined,
    etcd === undefined ? undefined : { name: 'etcd', title: 'etcd', look: () => etcdFindings(context, options) },
    s3 === undefined ? undefined : { name: 's3', title: 'S3', look: () => s3Findings(context, options) },
    hasCluster || !isNode
      ? { name: 'cluster', title: 'Cluster', look: () => clusterFindings(context, options) }
      : undefined,
  ];
  return all.filter(one => one !== undefined);
}

/** A machine for oneself may do without isolation; one that is given the credentials of a cluster may not. */
async function isolationFindings(
  context: CliContext,
  wanted: NodeOptions['isolation'],
  isNode: boolean,
): Promise<Finding[]> {
  const findings = await context.diagnoseIsolation(wanted);
  const advice = 'Install bubblewrap, or run the node as root: tasks could read what it knows of etcd and S3.';
  return findings.map(finding =>
    isNode && finding.level === 'warning' ? { ...finding, level: 'problem', advice } : finding,
  );
}

async function clusterFindings(context: CliContext, options: Options): Promise<Finding[]> {
  await using connection = await connect(context, options);
  const about = await connection.client.call('cluster', {}, context.signal);
  if (connection.isEmbedded)
    return [{ level: 'ok', subject: 'embedded', what: 'A node of its own starts and answers; no cluster is named' }];
  const { nodes } = await connection.client.call('listNodes', {}, context.signal);
  const working = nodes.filter(node => !node.draining && node.slots > 0);
  const reached = `${about.cluster}, through node ${about.node}, as ${about.principal} (${about.role})`;
  const isOther = about.version !== context.version;
  return [
    { level: 'ok', subject: 'cluster', what: reached },
    isOther
      ? { level: 'warning', subject: 'release', what: `It runs ${about.version}, this program is ${context.version}` }
      : { level: 'ok', subject: 'release', what: about.version },
    working.length > 0
      ? { level: 'ok', subject: 'nodes', what: `${working.length} of ${nodes.length} take tasks` }
      : {
          level: 'warning',
          subject: 'nodes',
          what: 'None takes tasks',
          advice: 'Start one: simple-ci node --cluster …',
        },
  ];
}

async function etcdFindings(context: CliContext, options: Options): Promise<readonly Finding[]> {
  const { diagnoseEtcd } = await import('../store/diagnose-etcd.ts');
  const etcd = await readEtcdOptions(context, options);
  const { clock, chance, signal } = context;
  return etcd ? diagnoseEtcd(etcd, { clock, chance, signal }) : [];
}

async function s3Findings({ clock, chance, signal }: CliContext, options: Options): Promise<readonly Finding[]> {
  const { S3ObjectStore } = await import('../objects/s3-object-store.ts');
  const { diagnoseObjects } = await import('../objects/diagnose-objects.ts');
  const { diagnoseS3 } = await import('../objects/diagnose-s3.ts');
  const address = await readS3Options(options);
  if (!address) return [];
  const diagnosis = { clock, chance, signal, tryAddresses: true };
  await using objects = new S3ObjectStore({ address, clock, chance });
  const found = await diagnoseObjects(objects, diagnosis);
  // Of an S3 that cannot even be written to, the rest would say the same.
  const isReached = found[0]?.level !== 'problem';
  return isReached ? [...found, ...(await diagnoseS3({ address, clock, chance }, diagnosis))] : found;
}
