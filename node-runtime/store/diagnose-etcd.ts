import type { IStatusResponse } from 'etcd3';
import { describeError, isCiError } from '../../shared/errors.ts';
import type { Chance } from '../system/chance.ts';
import type { Clock } from '../system/clock.ts';
import type { Finding } from '../system/finding.ts';
import { EtcdConnection } from './etcd/etcd-connection.ts';
import { EtcdFailure } from './etcd/etcd-failure.ts';
import { type EndpointCredentials, probeEndpoint } from './etcd/probe-endpoint.ts';
import { readCredentials } from './etcd/read-credentials.ts';
import type { EtcdOptions } from './etcd-options.ts';
import type { Call } from './store.ts';

export interface EtcdDiagnosis {
  readonly clock: Clock;
  readonly chance: Chance;
  readonly signal: AbortSignal;
}

interface Examined {
  readonly findings: readonly Finding[];
  readonly status?: IStatusResponse;
}

const TIMEOUT_MS = 3000;
const WRITES = 5;
const SLOW_WRITE_MS = 100;
/** etcd's default quota is 2 GiB; what another one may be, etcd does not tell. */
const LARGE_DATABASE_BYTES = 1_400_000_000;
const OLDEST = [3, 4] as const;
const NO_MEMBER = '0';

/**
 * Examines each member on its own, as a node that happens to use it would find it. Writes nothing but a lease that it takes
 * back. Says nothing of what etcd does not tell, such as whether it compacts by itself.
 */
export async function diagnoseEtcd(options: EtcdOptions, diagnosis: EtcdDiagnosis): Promise<readonly Finding[]> {
  let credentials: EndpointCredentials;
  try {
    credentials = await readCredentials(options.tls);
  } catch (error) {
    return [{ level: 'problem', what: describeError(error) }];
  }
  const examined = await Promise.all(
    options.endpoints.map(address => examineMember(address, options, credentials, diagnosis)),
  );
  const together = examineTogether(examined, options.endpoints.length);
  return [...examined.flatMap(member => member.findings), ...together];
}

async function examineMember(
  address: string,
  options: EtcdOptions,
  credentials: EndpointCredentials,
  diagnosis: EtcdDiagnosis,
): Promise<Examined> {
  const reason = await probeEndpoint(address, credentials, TIMEOUT_MS);
  diagnosis.signal.throwIfAborted();
  if (reason !== undefined) return { findings: [unreachable(address, reason)] };
  const call = { signal: diagnosis.signal, timeoutMs: TIMEOUT_MS };
  try {
    const connection = await EtcdConnection.open({ ...options, endpoints: [address] }, diagnosis, call);
    try {
      return await examineConnected(address, connection, diagnosis.clock, call);
    } finally {
      connection.close();
    }
  } catch (error) {
    diagnosis.signal.throwIfAborted();
    return { findings: [refused(address, error)] };
  }
}

async function examineConnected(
  address: string,
  connection: EtcdConnection,
  clock: Clock,
  call: Call,
): Promise<Examined> {
  const status = await connection.call('ask for its status', call, (client, options) =>
    client.maintenance.status(options),
  );
  const findings: Finding[] = [{ level: 'ok', what: `etcd ${status.version} answers at ${address}` }];
  if (isTooOld(status.version)) {
    const advice = 'Update it: version 3.4 is the oldest that Simple CI is tested with';
    findings.push({ level: 'warning', what: `etcd at ${address} is of version ${status.version}`, advice });
  }
  if (status.leader === NO_MEMBER) {
    const advice = 'Start more members: most of them must reach each other';
    findings.push({ level: 'problem', what: `etcd at ${address} has no leader: nothing can be written`, advice });
    return { findings, status };
  }
  findings.push(sizeFinding(address, Number(status.dbSize)));
  findings.push(...(await alarmFindings(address, connection, call)));
  findings.push(await writeFinding(address, connection, clock, call));
  return { findings, status };
}

/** Only root may ask for alarms where passwords are on; whoever may not learns of a full database when writing. */
async function alarmFindings(address: string, connection: EtcdConnection, call: Call): Promise<readonly Finding[]> {
  const response = await connection
    .call('ask for alarms', call, (client, options) => client.maintenance.alarm({ action: 'Get' }, options))
    .catch(() => undefined);
  return (response?.alarms ?? []).map(({ alarm }) => ({
    level: 'problem',
    what: `etcd at ${address} has raised the alarm ${alarm.toUpperCase()}`,
    advice:
      alarm.toLowerCase() === 'nospace'
        ? 'Compact and defragment it or raise --quota-backend-bytes, then: etcdctl alarm disarm'
        : 'Restore the member from the others or a backup',
  }));
}

async function writeFinding(address: string, connection: EtcdConnection, clock: Clock, call: Call): Promise<Finding> {
  try {
    return speedFinding(address, await timeWrites(connection, clock, call));
  } catch (error) {
    if (!(error instanceof EtcdFailure)) throw error;
    const { message } = error.toCiError('write');
    if (!error.isUnclear) return { level: 'problem', what: message };
    return { level: 'problem', what: message, advice: 'See whether most of its members run and reach each other' };
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

function speedFinding(address: string, times: readonly number[]): Finding {
  const median = times[times.length >> 1]!;
  const what = `Writing through ${address} takes ${median.toFixed(1)} ms`;
  if (median <= SLOW_WRITE_MS) return { level: 'ok', what };
  return {
    level: 'warning',
    what,
    advice: 'Give etcd a faster disk or a shorter way: every task waits for it three times',
  };
}

function sizeFinding(address: string, bytes: number): Finding {
  const what = `The database at ${address} has ${Math.ceil(bytes / 1_048_576)} MiB`;
  if (bytes < LARGE_DATABASE_BYTES) return { level: 'ok', what };
  const advice =
    'Compact and defragment it before it reaches its quota, 2 GiB unless --quota-backend-bytes says otherwise';
  return { level: 'warning', what, advice };
}

function examineTogether(examined: readonly Examined[], count: number): readonly Finding[] {
  const answering = examined.flatMap(({ status }) => status ?? []);
  const clusters = new Set(answering.map(status => status.header.cluster_id));
  if (clusters.size > 1) {
    const advice = 'Name members of one cluster only';
    return [{ level: 'problem', what: 'The addresses belong to different etcd clusters', advice }];
  }
  if (answering.length === 0 || answering.length === count) return [];
  return [{ level: 'ok', what: `${answering.length} of ${count} addresses answer: a node uses any of them` }];
}

function unreachable(address: string, reason: string): Finding {
  const advice = /authority|client certificate|host name/.test(reason)
    ? 'Check the certificate files given for etcd'
    : 'Check the address, and that etcd runs and listens there';
  return { level: 'problem', what: `Cannot reach etcd at ${address}: ${reason}`, advice };
}

function refused(address: string, error: unknown): Finding {
  const known = error instanceof EtcdFailure ? error.toCiError('ask etcd for its status') : error;
  const what = isCiError(known)
    ? known.message
    : `etcd at ${address} does not answer as it should: ${describeError(error)}`;
  return isCiError(known, 'unauthenticated')
    ? { level: 'problem', what, advice: 'Check the user and password given for etcd' }
    : { level: 'problem', what };
}

function isTooOld(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]);
}
