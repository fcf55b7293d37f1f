import type { Finding } from '../../system/finding.ts';
import type { EtcdOptions } from '../etcd-options.ts';
import type { MemberReport } from './member-report.ts';

const OLDEST = [3, 4] as const;
/** The first releases without faults that lose leases or keys, as etcd's own notes recommend them. */
const MENDED: Readonly<Record<string, number>> = { '3.4': 22, '3.5': 6 };
const SLOW_WRITE_MS = 100;
/** etcd's manual asks for 10 and 25; from here on leaders are lost under load. */
const SLOW_FSYNC_MS = 64;
const SLOW_COMMIT_MS = 128;
const MANY_LEADERS_AN_HOUR = 2;
const HOUR_MS = 3_600_000;
const FULL = { warning: 0.7, problem: 0.9 };
/** A queue and 10,000 finished tasks take some tens of megabytes, and as much again between two compactions. */
const SMALL_QUOTA = 256_000_000;
/** etcd's default quota is 2 GiB; what another one may be, is only in its metrics. */
const LARGE_DATABASE = 1_400_000_000;
const MANY_REVISIONS = 1_000_000;
const CLOCK_WARNING_MS = 5000;
const FSYNC = 'etcd_disk_wal_fsync_duration_seconds';
const NO_MEMBER = '0';

/** What is good and bad about the members that answered, in the order in which one would want to know. */
export function judgeEtcd(reports: readonly MemberReport[], options: EtcdOptions): readonly Finding[] {
  if (reports.length === 0) return [];
  return [
    ...judgeMembers(reports, options),
    ...judgeVersions(reports),
    ...judgeLeader(reports),
    ...reports.flatMap(judgeAlarms),
    ...judgeWriting(reports),
    ...judgeDisks(reports),
    ...judgeSpace(reports),
    ...judgeCompaction(reports),
    ...judgeClocks(reports),
    ...judgeAccess(options),
  ];
}

function judgeMembers(reports: readonly MemberReport[], { endpoints }: EtcdOptions): Finding[] {
  const subject = 'members';
  const clusters = new Set(reports.map(({ status }) => status.header.cluster_id));
  if (clusters.size > 1) {
    const advice = 'Name members of one cluster only.';
    return [{ level: 'problem', subject, what: 'The addresses belong to different etcd clusters', advice }];
  }
  const known = reports.find(({ members }) => members)?.members;
  const answering = `${reports.length} of ${endpoints.length} addresses answer`;
  if (!known) return [{ level: 'ok', subject, what: answering }];
  const what = `${known.length} in the cluster; ${answering}`;
  const met = new Set(reports.map(({ status }) => status.header.member_id)).size;
  const unnamed = known.length - met - (endpoints.length - reports.length);
  const learner = reports.find(({ status }) => status.isLearner);
  if (learner)
    return [problem(subject, `${learner.address} is a learner, which serves nobody`, 'Promote it, or name another.')];
  if (known.length === 1)
    return [warning(subject, `${what}. While it is down, nothing goes on`, 'Run three for anything that matters.')];
  if (known.length % 2 === 0)
    return [warning(subject, `${what}. One less would survive as much`, 'Run three members, or five.')];
  if (unnamed > 0)
    return [
      warning(
        subject,
        `${what}; ${unnamed} are not named`,
        'Name all, unless it is a balancer: nodes go to another when one fails.',
      ),
    ];
  return [{ level: 'ok', subject, what }];
}

function judgeVersions(reports: readonly MemberReport[]): Finding[] {
  const subject = 'version';
  const versions = [...new Set(reports.map(({ status }) => status.version))].sort();
  const what = versions.join(', ');
  const rated = versions.map(rateVersion).filter(finding => finding !== undefined);
  if (rated.length > 0) return rated;
  if (versions.length === 1) return [{ level: 'ok', subject, what }];
  return [warning(subject, `Members are of different ones: ${what}`, 'Bring all to the newest of them.')];
}

function rateVersion(version: string): Finding | undefined {
  const [major = 0, minor = 0, patch = 0] = version.split(/[.-]/).map(Number);
  const subject = 'version';
  if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]))
    return problem(subject, `${version} is older than 3.4, the oldest that Simple CI is tested with`, 'Update it.');
  if (major === 3 && minor === 5 && patch < 3)
    return problem(subject, `${version} can corrupt its data (3.5.0 to 3.5.2)`, 'Update it to the newest 3.5.');
  const mended = MENDED[`${major}.${minor}`];
  if (mended === undefined || patch >= mended) return undefined;
  return warning(subject, `${version} has known faults, mended in ${major}.${minor}.${mended}`, 'Update it.');
}

function judgeLeader(reports: readonly MemberReport[]): Finding[] {
  const subject = 'leader';
  const alone = reports.filter(({ status }) => status.leader === NO_MEMBER);
  if (alone.length > 0) {
    const advice = 'Start more members: most of them must reach each other.';
    return alone.map(({ address }) => problem(subject, `${address} has no leader: nothing can be written`, advice));
  }
  const leader = reports.find(({ status }) => status.leader === status.header.member_id);
  const what = leader?.address ?? 'Another member than those asked';
  const busiest = worst(reports, changesAnHour);
  if (busiest === undefined || busiest < MANY_LEADERS_AN_HOUR) return [{ level: 'ok', subject, what }];
  const advice = 'Look for slow disks, a slow network between members, or members that share a busy machine.';
  return [warning(subject, `${what}; it changes ${busiest.toFixed(0)} times an hour`, advice)];
}

/** Undefined for a member that is too young to tell. */
function changesAnHour({ metrics, upForMs = 0 }: MemberReport): number | undefined {
  const changes = metrics?.value('etcd_server_leader_changes_seen_total');
  return changes === undefined || upForMs < HOUR_MS ? undefined : changes / (upForMs / HOUR_MS);
}

function judgeAlarms({ address, alarms }: MemberReport): Finding[] {
  return alarms.map(alarm =>
    alarm === 'NOSPACE'
      ? problem(
          'alarm',
          `${address} is full (NOSPACE): nothing can be submitted or claimed`,
          'Compact and defragment it or raise --quota-backend-bytes, then: etcdctl alarm disarm',
        )
      : problem('alarm', `${address} has raised ${alarm}`, 'Restore the member from the others or a backup.'),
  );
}

function judgeWriting(reports: readonly MemberReport[]): Finding[] {
  const subject = 'write';
  const isFull = reports.some(({ alarms }) => alarms.includes('NOSPACE'));
  const failures = reports.flatMap(({ writing }) => (writing.kind === 'failed' ? [writing] : []));
  if (failures.length > 0)
    return failures
      .slice(0, 1)
      .filter(() => !isFull)
      .map(({ message, isUnclear }) => ({
        level: 'problem',
        subject,
        what: message,
        ...(isUnclear && { advice: 'See whether most of its members run and reach each other.' }),
      }));
  const slowest = worst(reports, ({ writing }) => (writing.kind === 'took' ? median(writing.times) : undefined));
  if (slowest === undefined) return [];
  const what = `${milliseconds(slowest)}${reports.length > 1 ? ' through the slowest member' : ''}`;
  if (slowest <= SLOW_WRITE_MS) return [{ level: 'ok', subject, what }];
  return [warning(subject, what, 'Give etcd a faster disk or a shorter way: every task waits for it three times.')];
}

function judgeDisks(reports: readonly MemberReport[]): Finding[] {
  if (reports.every(({ metrics }) => metrics === undefined)) {
    const advice = 'Let etcd serve them at its client address, or look after disk, quota and compaction yourself.';
    return [warning('metrics', 'No member serves its metrics here', advice)];
  }
  return [
    ...judgeDurability(reports),
    ...judgeDisk(reports, 'fsync', FSYNC, SLOW_FSYNC_MS),
    ...judgeDisk(reports, 'commit', 'etcd_disk_backend_commit_duration_seconds', SLOW_COMMIT_MS),
  ];
}

/** A switch of etcd for tests, which makes it fast. */
function judgeDurability(reports: readonly MemberReport[]): Finding[] {
  return reports.flatMap(report => {
    const how = howUnsafe(report);
    if (how === undefined) return [];
    const what = `${report.address} ${how}: tasks that it has acknowledged are lost with its power`;
    return [problem('durability', what, 'Start it without.')];
  });
}

/** Told by a variable or a file, it shows in that nothing is counted: a member syncs once as it is made, and then with every write. */
function howUnsafe({ commandLine = [], metrics, writing }: MemberReport): string | undefined {
  if (commandLine.some(word => /^--?unsafe-no-fsync(?:=(?:1|t|true))?$/i.test(word)))
    return 'runs with --unsafe-no-fsync';
  const synced = metrics?.value(`${FSYNC}_count`);
  if (writing.kind !== 'took' || synced === undefined || synced > 1) return undefined;
  return 'takes writes and does not wait for its disk, as with ETCD_UNSAFE_NO_FSYNC';
}

function judgeDisk(reports: readonly MemberReport[], subject: string, metric: string, slowMs: number): Finding[] {
  const slowest = worst(reports, ({ metrics }) => metrics?.within(metric, 0.99));
  if (slowest === undefined) return [];
  const what = Number.isFinite(slowest) ? `99% within ${milliseconds(slowest)}` : 'More than 1% take over 8 s';
  if (slowest <= slowMs) return [{ level: 'ok', subject, what }];
  return [warning(subject, what, 'Give etcd a disk of its own, an SSD: slow ones lose leaders, and time for all.')];
}

function judgeSpace(reports: readonly MemberReport[]): Finding[] {
  const subject = 'space';
  const bytes = worst(reports, ({ status }) => Number(status.dbSize)) ?? 0;
  const quota = reports.find(({ metrics }) => metrics)?.metrics?.value('etcd_server_quota_backend_bytes');
  const compact = 'Compact and defragment it, or raise --quota-backend-bytes. At 100% nothing can be submitted.';
  if (!quota) {
    const what = `${megabytes(bytes)}; its quota is not told`;
    return [bytes < LARGE_DATABASE ? { level: 'ok', subject, what } : warning(subject, what, compact)];
  }
  const what = `${megabytes(bytes)} of ${megabytes(quota)}, ${((bytes / quota) * 100).toFixed(0)}%`;
  if (bytes >= quota * FULL.problem) return [problem(subject, what, compact)];
  if (bytes >= quota * FULL.warning) return [warning(subject, what, compact)];
  if (quota >= SMALL_QUOTA) return [{ level: 'ok', subject, what }];
  return [warning(subject, `${what}: a small quota`, 'Raise --quota-backend-bytes; the default is 2 GiB.')];
}

const COMPACT = 'Start etcd with --auto-compaction-mode=periodic --auto-compaction-retention=5m';

function judgeCompaction(reports: readonly MemberReport[]): Finding[] {
  const subject = 'compaction';
  const { status, metrics, commandLine } = reports.find(report => report.metrics) ?? reports[0]!;
  const compacted = metrics?.value('etcd_debugging_mvcc_compact_revision');
  const kept = Number(status.header.revision) - Math.max(0, compacted ?? 0);
  const revisions = `${kept.toLocaleString('en-US')} ${kept === 1 ? 'revision' : 'revisions'} kept`;
  const told = commandLine && flag(commandLine, 'auto-compaction-retention');
  const mode = (commandLine && flag(commandLine, 'auto-compaction-mode')) ?? 'periodic';
  const isOn = told !== undefined && !/^0*[a-z]*$/.test(told);
  if (compacted !== undefined && kept > MANY_REVISIONS) return [problem(subject, revisions, `${COMPACT}.`)];
  if (isOn) return [{ level: 'ok', subject, what: `${mode}, ${told}; ${revisions}` }];
  if (compacted !== undefined && compacted > 0) return [{ level: 'ok', subject, what: revisions }];
  if (compacted === undefined && commandLine === undefined) return [];
  // It may be told by a variable or a file, which shows only once it has compacted for the first time.
  return [warning(subject, `No sign of it: ${revisions}, all there ever were`, `${COMPACT}, unless it is on.`)];
}

function judgeClocks(reports: readonly MemberReport[]): Finding[] {
  const subject = 'clock';
  const told = reports.filter(({ ahead }) => ahead !== undefined);
  const furthest = worst(told, ({ ahead }) => Math.abs(ahead!));
  if (furthest === undefined) return [];
  const seconds = Math.max(1, Math.round(furthest / 1000));
  if (furthest < CLOCK_WARNING_MS) return [{ level: 'ok', subject, what: `Within ${seconds} s of this machine's` }];
  const { address, ahead = 0 } = told.find(report => Math.abs(report.ahead!) === furthest)!;
  const what = `This machine's is ${seconds} s ${ahead > 0 ? 'ahead of' : 'behind'} that of ${address}`;
  return [warning(subject, what, 'Set both by NTP: tokens and the times people read depend on them.')];
}

function judgeAccess({ endpoints, auth, tls }: EtcdOptions): Finding[] {
  const subject = 'access';
  const isOpen = endpoints.some(address => address.startsWith('http:') && !isLoopback(new URL(address).hostname));
  const role = 'Make a user with rights under the cluster’s prefix only.';
  if (auth && isOpen) return [problem(subject, 'The password goes to another machine unencrypted', 'Use https.')];
  if (auth?.user === 'root') return [warning(subject, 'As root, who may do anything', role)];
  if (auth) return [{ level: 'ok', subject, what: `As user ${auth.user}` }];
  if (tls?.cert) return [{ level: 'ok', subject, what: 'By client certificate' }];
  const what = 'Anybody who reaches it is let in: tasks too, who share the network';
  return [warning(subject, what, 'Switch on users and passwords, or client certificates.')];
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || /^127(\.\d+){3}$/.test(host) || host === '[::1]';
}

/** `--name=value`, `--name value`, also with one dash. */
function flag(words: readonly string[], name: string): string | undefined {
  for (const [at, word] of words.entries()) {
    const bare = word.replace(/^--?/, '');
    if (bare === name) return words[at + 1];
    if (bare.startsWith(`${name}=`)) return bare.slice(name.length + 1);
  }
  return undefined;
}

function worst(
  reports: readonly MemberReport[],
  measure: (report: MemberReport) => number | undefined,
): number | undefined {
  const measured = reports.map(measure).filter(value => value !== undefined);
  return measured.length === 0 ? undefined : Math.max(...measured);
}

function median(times: readonly number[]): number | undefined {
  return times[times.length >> 1];
}

function milliseconds(ms: number): string {
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`;
}

function megabytes(bytes: number): string {
  const mb = bytes / 1e6;
  if (mb < 0.1) return 'Under 0.1 MB';
  return mb >= 1000 ? `${(mb / 1000).toFixed(1)} GB` : mb < 10 ? `${mb.toFixed(1)} MB` : `${Math.round(mb)} MB`;
}

function problem(subject: string, what: string, advice: string): Finding {
  return { level: 'problem', subject, what, advice };
}

function warning(subject: string, what: string, advice: string): Finding {
  return { level: 'warning', subject, what, advice };
}
