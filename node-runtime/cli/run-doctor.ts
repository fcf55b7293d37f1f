import { join, resolve } from 'node:path';
import { describeError } from '../../shared/errors.ts';
import type { NodeOptions } from '../options.ts';
import type { Finding } from '../system/finding.ts';
import type { ConnectionOptions } from './common-options.ts';
import { connect } from './connect.ts';
import type { CliContext } from './context.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { activeLogin, readLogins } from './logins.ts';
import { machineFindings } from './machine-findings.ts';
import { readEtcdOptions, readS3Options, type StoreArguments } from './store-options.ts';

type Options = ConnectionOptions &
  StoreArguments & {
    readonly isolation: NodeOptions['isolation'];
    readonly json: boolean;
  };

interface Examination {
  readonly title: string;
  readonly look: () => Promise<readonly Finding[]>;
}

/** Looks at one thing after the other, and says what it sees as it goes. */
export async function runDoctor(context: CliContext, options: Options): Promise<ExitCode> {
  const { terminal, signal } = context;
  const findings: (Finding & { readonly about: string })[] = [];
  for (const { title, look } of await examinations(context, options)) {
    if (!options.json) terminal.print(terminal.style.bold(title));
    terminal.status(`Looking at ${title} …`);
    const found = await look().catch((error: unknown): Finding[] => {
      signal.throwIfAborted();
      return [{ level: 'problem', what: describeError(error) }];
    });
    terminal.status(undefined);
    if (!options.json) for (const finding of found) printFinding(context, finding);
    findings.push(...found.map(finding => ({ about: title, ...finding })));
  }
  const problems = findings.filter(finding => finding.level === 'problem').length;
  if (options.json) terminal.print(JSON.stringify({ healthy: problems === 0, findings }));
  return problems === 0 ? EXIT.passed : EXIT.failed;
}

async function examinations(context: CliContext, options: Options): Promise<Examination[]> {
  const { environment } = context;
  const { etcd, s3, url, data } = options;
  const dataDir = data === undefined ? join(environment.dataFolder, 'local') : resolve(environment.folder, data);
  const login = activeLogin(await readLogins(environment.configFolder));
  const hasCluster = url.length > 0 || (login !== undefined && data === undefined);
  const isNode = etcd !== undefined || s3 !== undefined;
  return [
    { title: 'This machine', look: () => machineFindings(context, dataDir) },
    { title: 'Isolation of tasks', look: () => context.diagnoseIsolation(options.isolation) },
    ...(etcd === undefined ? [] : [{ title: 'etcd', look: () => etcdFindings(context, options) }]),
    ...(s3 === undefined ? [] : [{ title: 'S3', look: () => s3Findings(context, options) }]),
    ...(hasCluster || !isNode ? [{ title: 'Cluster', look: () => clusterFindings(context, options) }] : []),
  ];
}

function printFinding({ terminal }: CliContext, { level, what, advice }: Finding): void {
  const { style } = terminal;
  const sign = { ok: style.green('✓'), warning: style.yellow('! warning:'), problem: style.red('✗ problem:') }[level];
  terminal.print(`  ${sign} ${what}`);
  if (advice !== undefined) terminal.print(style.dim(`    ${advice}`));
}

async function clusterFindings(context: CliContext, options: Options): Promise<Finding[]> {
  await using connection = await connect(context, options);
  const about = await connection.client.call('cluster', {}, context.signal);
  if (connection.isEmbedded) return [{ level: 'ok', what: 'An embedded node starts and answers; no cluster is named' }];
  const { nodes } = await connection.client.call('listNodes', {}, context.signal);
  const working = nodes.filter(node => !node.draining && node.slots > 0);
  const reached = `${about.cluster} answers through node ${about.node} (${about.version}) to ${about.principal}, ${about.role}`;
  return [
    { level: 'ok', what: reached },
    working.length > 0
      ? { level: 'ok', what: `${working.length} of ${nodes.length} nodes take tasks` }
      : { level: 'warning', what: 'No node takes tasks', advice: 'Start one: simple-ci node --cluster …' },
    ...(about.version === context.version
      ? []
      : [{ level: 'warning', what: `It runs another release than this program: ${about.version}` } as const]),
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
  const address = await readS3Options(options);
  if (!address) return [];
  await using objects = new S3ObjectStore({ address, clock, chance });
  return await diagnoseObjects(objects, { clock, chance, signal, tryAddresses: true });
}
