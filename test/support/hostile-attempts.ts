import { spawnSync } from 'node:child_process';
import { lstatSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { collectArtifacts } from '../../node-runtime/runner/collect-artifacts.ts';
import type { Sandbox } from '../../node-runtime/runner/sandbox.ts';
import { neverAborted, systemClock } from '../../node-runtime/system/clock.ts';
import { isDead, processesWith } from '../runner/supervisor/supervised.ts';
import { MOST_PROCESSES, newWord, type Stage } from './hostile-stage.ts';
import { MemoryObjectStore } from './memory-object-store.ts';
import { READ_ROLE } from './metadata-stand-in.ts';
import { testCluster } from './test-cluster.ts';
import { newAttempt, testLogs } from './test-logs.ts';
import { claim, claimant, submit } from './test-tasks.ts';
import { until } from './until.ts';

// Moves that it takes more to judge than what the task prints. Each tells whether the task got what it was after.

function isThere(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return false;
  }
}

export async function changesMachine(stage: Stage): Promise<boolean> {
  return await hasWritten(stage, ['', '/etc', '/usr', '/usr/bin', '/var/lib', '/opt', '/root']);
}

export async function leavesFiles(stage: Stage): Promise<boolean> {
  return await hasWritten(stage, ['/tmp', '/var/tmp', '/dev/shm']);
}

/** Whether files that a task has made in these folders are there when it is gone. */
async function hasWritten(stage: Stage, folders: readonly string[]): Promise<boolean> {
  const files = folders.map(folder => `${folder}/${newWord()}`);
  try {
    await using sandbox = await stage.open();
    await stage.run(sandbox, files.map(file => `echo > ${file}`).join('\n'));
    await sandbox[Symbol.asyncDispose]();
    return files.some(isThere);
  } finally {
    for (const file of files.filter(isThere)) rmSync(file);
  }
}

/** The task leaves links to files of the node and of another task, also in the place of its workspace. */
export async function keepsLinkedFiles(stage: Stage): Promise<boolean> {
  const linked = 'mkdir out; cd out; ln -s $DATA/token soft; ln $DATA/token hard; ln -s $OTHER other; ln -s $DATA data';
  const replaced = 'cd ..; mv workspace moved && ln -s $DATA workspace';
  return (await isKept(stage, linked)) || (await isKept(stage, replaced));
}

/** A process that outlives the task, where it can, goes on putting files and links into each other's place. */
export async function keepsSwappedFiles(stage: Stage): Promise<boolean> {
  const word = newWord();
  const swap = `for my $n (1 .. 1e9) {
    for my $make (sub { open my $file, ">", "next" }, sub { symlink "$ENV{DATA}/token", "next" }, sub { link "$ENV{DATA}/token", "next" }) {
      unlink "next"; $make->(); rename "next", "swapped"; select undef, undef, undef, 0.001;
    }
  }`;
  const hiding = `mkdir out; (cd out; /usr/bin/setsid perl -e '${swap}' ${word} > /dev/null 2>&1 < /dev/null &)
    until [ -e out/swapped ]; do sleep 0.1; done`;
  try {
    for (let tries = 0; tries < 10; tries++) if (await isKept(stage, hiding)) return true;
    return false;
  } finally {
    killed(word);
  }
}

async function isKept({ open, run, secrets }: Stage, script: string): Promise<boolean> {
  await using sandbox = await open();
  await run(sandbox, script);
  await sandbox.kill();
  await using cluster = await testCluster();
  const claimed = await claim(cluster, await submit(cluster, { artifacts: ['**'] }), await claimant(cluster));
  // What cannot be kept is not kept.
  await collectArtifacts(cluster, claimed, sandbox.folders.workspace, neverAborted).catch(() => undefined);
  const kept = [...(cluster.objects as MemoryObjectStore).objects.values()].map(({ bytes }) => Buffer.from(bytes));
  return kept.some(bytes => Object.values(secrets).some(secret => bytes.includes(secret)));
}

/** The task leaves links to folders of the node and of another task, also in the place of its own. */
export async function removesLinkedFiles(stage: Stage): Promise<boolean> {
  const { open, run, dataDir, otherFolder } = stage;
  await using sandbox = await open();
  await run(sandbox, 'ln -s $DATA/token soft; ln -s $DATA data; ln -s $OTHER other; touch full; chmod 0 .');
  await using replacing = await open();
  await run(
    replacing,
    'touch full; cd ..; for name in workspace home tmp; do mv $name moved-$name && ln -s $OTHER $name; done',
  );
  const other = join(sandbox.folders.workspace, '..');
  await sandbox[Symbol.asyncDispose]();
  await replacing[Symbol.asyncDispose]();
  await until('its folder is gone', () => !isThere(other) && !isThere(join(replacing.folders.workspace, '..')));
  return ![join(dataDir, 'token'), join(otherFolder, 'workspace', 'secret.txt')].every(isThere);
}

/**
 * A process that has left its session and its parent, is without the variables of a task, and is most willing to be killed
 * when memory runs out: anybody may make that higher.
 */
const hiding = (word: string) => `(env -i /usr/bin/setsid /bin/sh -c '
  { echo 1000 > /proc/self/oom_score_adj; exec perl -e "sleep 1000" ${word}; } > /dev/null 2>&1 < /dev/null & exit 0' &)`;

async function hide({ open, start }: Stage, word: string): Promise<Sandbox> {
  const sandbox = await open();
  await start(sandbox, hiding(word)).ended;
  await until('a process hides', () => hidden(word).length === 1);
  return sandbox;
}

/** It has become perl, and is nobody's child. */
function hidden(word: string): number[] {
  return processesWith(word).filter(pid => readFileSync(`/proc/${pid}/comm`, 'utf8') === 'perl\n');
}

export async function survives(stage: Stage): Promise<boolean> {
  const word = newWord();
  await using sandbox = await hide(stage, word);
  await sandbox.kill();
  return killed(word);
}

export async function breaksFreeze(stage: Stage): Promise<boolean> {
  const word = newWord();
  await using sandbox = await hide(stage, word);
  await sandbox.freeze();
  const runsOn = hidden(word).some(pid => !isStopped(pid));
  await sandbox.kill();
  killed(word);
  return runsOn;
}

function isStopped(pid: number): boolean {
  return isDead(pid) || /^State:\s+T/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
}

/** Tells whether there was one. */
function killed(word: string): boolean {
  const found = processesWith(word);
  for (const pid of found) process.kill(pid, 'SIGKILL');
  return found.length > 0;
}

/** Twice as many processes as it may have, and none more, so that the machine lives. */
const BOMB = `perl -e '
  $| = 1;
  for my $number (1 .. ${2 * MOST_PROCESSES}) {
    my $pid = fork;
    print("refused\\n"), last unless defined $pid;
    sleep 1000, exit if $pid == 0;
  }
  print "done\\n";
  sleep 1000'`;

export async function multiplies(stage: Stage): Promise<boolean> {
  await using sandbox = await stage.open();
  const bomb = stage.start(sandbox, BOMB);
  let said = '';
  for await (const bytes of bomb.output) {
    said += Buffer.from(bytes);
    if (said.endsWith('done\n')) break;
  }
  if (!said.startsWith('refused\n')) return true;
  await using neighbour = await stage.open();
  const runs = await stage.run(neighbour, 'true && echo runs').catch(() => '');
  return !runs.includes('runs') || spawnSync('true').status !== 0;
}

/** Nobody reads it: whatever is taken from the task all the same is in the memory of the node. */
const FLOOD = `exec 9>&1; perl -MFcntl -e '
  fcntl STDOUT, F_SETFL, O_NONBLOCK;
  my ($taken, $piece) = (0, "x" x 65536);
  while ($taken < 16 << 20) {
    my $written = syswrite STDOUT, $piece;
    if ($written) { $taken += $written; next }
    vec(my $wanted = "", fileno STDOUT, 1) = 1;
    last unless select undef, $wanted, undef, 2;
  }
  open my $file, ">", "taken";
  print $file $taken'`;

export async function floodsNode({ open, start }: Stage): Promise<boolean> {
  await using sandbox = await open();
  await start(sandbox, FLOOD).ended;
  return Number(readFileSync(join(sandbox.folders.workspace, 'taken'), 'utf8')) >= 1 << 20;
}

/** A little of it. */
export async function fillsStore({ open, start }: Stage): Promise<boolean> {
  await using sandbox = await open();
  await using log = testLogs(new MemoryObjectStore(), systemClock).open(newAttempt(), []);
  const printing = start(sandbox, 'dd if=/dev/zero bs=1M count=32 2> /dev/null');
  for await (const bytes of printing.output) await log.write(bytes);
  return (await log.finish()).bytes === 32 << 20;
}

/** A little of it. */
export async function fillsMachine({ open, run }: Stage): Promise<boolean> {
  await using sandbox = await open();
  await run(sandbox, 'dd if=/dev/zero of=fill bs=1M count=32');
  return statSync(join(sandbox.folders.workspace, 'fill'), { throwIfNoEntry: false })?.size === 32 << 20;
}

export async function readsRoleDespiteRule({ metadata, open, run }: Stage): Promise<boolean> {
  await using _rule = await metadata!.forbid();
  await using sandbox = await open();
  return /^taken$/m.test(await run(sandbox, READ_ROLE));
}
