import { describeError, isCiError } from '../../shared/errors.ts';
import type { Chance } from '../system/chance.ts';
import type { Clock } from '../system/clock.ts';
import type { Finding } from '../system/finding.ts';
import { EtcdConnection } from './etcd/etcd-connection.ts';
import { EtcdFailure } from './etcd/etcd-failure.ts';
import { EtcdMetrics } from './etcd/etcd-metrics.ts';
import { judgeEtcd } from './etcd/judge-etcd.ts';
import type { MemberReport, Writing } from './etcd/member-report.ts';
import { type EndpointCredentials, probeEndpoint } from './etcd/probe-endpoint.ts';
import { readCredentials } from './etcd/read-credentials.ts';
import { readPage } from './etcd/read-page.ts';
import type { EtcdOptions } from './etcd-options.ts';
import type { Call } from './store.ts';

export interface EtcdDiagnosis {
  readonly clock: Clock;
  readonly chance: Chance;
  readonly signal: AbortSignal;
  /** How long a member may take for an answer, in milliseconds. Default: as long as it may for a node. */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 3000;
const WRITES = 5;
const NO_MEMBER = '0';

/**
 * Examines each member on its own, as a node that happens to use it would find it, and judges them together. Writes nothing
 * but leases that it takes back.
 */
export async function diagnoseEtcd(options: EtcdOptions, diagnosis: EtcdDiagnosis): Promise<readonly Finding[]> {
  let credentials: EndpointCredentials;
  try {
    credentials = await readCredentials(options.tls);
  } catch (error) {
    return [{ level: 'problem', subject: 'certificates', what: describeError(error) }];
  }
  const examined = await Promise.all(
    options.endpoints.map(address => examineMember(address, options, credentials, diagnosis)),
  );
  const failures = examined.flatMap(one => ('level' in one ? [one] : []));
  return [
    ...failures,
    ...judgeEtcd(
      examined.flatMap(one => ('level' in one ? [] : [one])),
      options,
    ),
  ];
}

/** What was seen of it, or why nothing was. */
async function examineMember(
  address: string,
  options: EtcdOptions,
  credentials: EndpointCredentials,
  diagnosis: EtcdDiagnosis,
): Promise<MemberReport | Finding> {
  const { clock, signal, timeoutMs = TIMEOUT_MS } = diagnosis;
  const reason = await probeEndpoint(address, credentials, timeoutMs);
  signal.throwIfAborted();
  if (reason !== undefined) return unreachable(address, reason);
  const call = { signal, timeoutMs };
  try {
    const connection = await EtcdConnection.open({ ...options, endpoints: [address] }, diagnosis, call);
    try {
      const told = await readPages(address, credentials, clock, call);
      return { address, ...(await examineConnected(connection, clock, call)), ...told };
    } finally {
      connection.close();
    }
  } catch (error) {
    signal.throwIfAborted();
    return refused(address, error);
  }
}

async function examineConnected(
  connection: EtcdConnection,
  clock: Clock,
  call: Call,
): Promise<Pick<MemberReport, 'status' | 'alarms' | 'writing' | 'members'>> {
  const status = await connection.call('ask for its status', call, (client, options) =>
    client.maintenance.status(options),
  );
  if (status.leader === NO_MEMBER) return { status, alarms: [], writing: { kind: 'not tried' } };
  const members = await readMembers(connection, call);
  const alarms = await readAlarms(connection, status.header.member_id, call);
  return { status, alarms, writing: await tryWriting(connection, clock, call), ...(members && { members }) };
}

async function readMembers(connection: EtcdConnection, call: Call): Promise<readonly string[] | undefined> {
  const response = await connection
    .call('ask for the members', call, (client, options) => client.cluster.memberList({}, options))
    .catch(() => undefined);
  return response?.members.map(({ ID }) => ID);
}

/** Only root may ask for alarms where passwords are on; whoever may not learns of a full database when writing. */
async function readAlarms(connection: EtcdConnection, member: string, call: Call): Promise<readonly string[]> {
  const response = await connection
    .call('ask for alarms', call, (client, options) => client.maintenance.alarm({ action: 'Get' }, options))
    .catch(() => undefined);
  const own = (response?.alarms ?? []).filter(({ memberID }) => memberID === member);
  return own.map(({ alarm }) => alarm.toUpperCase());
}

async function tryWriting(connection: EtcdConnection, clock: Clock, call: Call): Promise<Writing> {
  try {
    return { kind: 'took', times: await timeWrites(connection, clock, call) };
  } catch (error) {
    if (!(error instanceof EtcdFailure)) throw error;
    return { kind: 'failed', message: error.toCiError('write').message, isUnclear: error.isUnclear };
  }
}

/** Milliseconds, in rising order. A lease is written like any key, and everybody may have one. */
async function timeWrites(connection: EtcdConnection, clock: Clock, call: Call): Promise<readonly number[]> {
  const times: number[] = [];
  for (let n = 0; n < WRITES; n++) {
    const start = clock.monotonic();
    const { ID } = await connection.call('write', call, (client, options) =>
      client.leaseClient.leaseGrant({ TTL: 60 }, options),
    );
    times.push(clock.monotonic() - start);
    await connection.call('write', call, (client, options) => client.leaseClient.leaseRevoke({ ID }, options));
  }
  return times.sort((a, b) => a - b);
}

/** What etcd does not tell by its API. */
async function readPages(
  address: string,
  credentials: EndpointCredentials,
  clock: Clock,
  call: Call,
): Promise<Pick<MemberReport, 'metrics' | 'commandLine' | 'upForMs' | 'ahead'>> {
  const page = await readPage(`${address}/metrics`, credentials, clock, call);
  const metrics = page && new EtcdMetrics(page.text);
  const started = metrics?.value('process_start_time_seconds');
  const variables = await readPage(`${address}/debug/vars`, credentials, clock, call);
  const commandLine = variables && readCommandLine(variables.text);
  return {
    ...(metrics && { metrics }),
    ...(page?.date !== undefined && started !== undefined && { upForMs: page.date - started * 1000 }),
    ...(page?.ahead !== undefined && { ahead: page.ahead }),
    ...(commandLine && { commandLine }),
  };
}

function readCommandLine(text: string): readonly string[] | undefined {
  try {
    const { cmdline } = JSON.parse(text) as { cmdline?: unknown };
    return Array.isArray(cmdline) ? cmdline.map(String) : undefined;
  } catch {
    return undefined;
  }
}

function unreachable(address: string, reason: string): Finding {
  const advice = /authority|client certificate|host name/.test(reason)
    ? 'Check the certificate files given for etcd.'
    : 'Check the address, and that etcd runs and listens there.';
  return { level: 'problem', subject: 'address', what: `Cannot reach ${address}: ${reason}`, advice };
}

function refused(address: string, error: unknown): Finding {
  const known = error instanceof EtcdFailure ? error.toCiError('ask etcd for its status') : error;
  const what = isCiError(known)
    ? known.message
    : `etcd at ${address} does not answer as it should: ${describeError(error)}`;
  const finding = { level: 'problem', subject: 'access', what } as const;
  return isCiError(known, 'unauthenticated')
    ? { ...finding, advice: 'Check the user and password given for etcd.' }
    : finding;
}
