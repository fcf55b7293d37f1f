import assert from 'node:assert/strict';
import { mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type CgroupLimits, readCgroupLimits } from '../../node-runtime/system/cgroup-limits.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const GB = 2 ** 30;

/** A root with these files in it. */
async function limitsOf(files: Readonly<Record<string, string>>): Promise<CgroupLimits> {
  await using root = await temporaryFolder();
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root.path, path)), { recursive: true });
    await writeFile(join(root.path, path), `${text}\n`);
  }
  return await readCgroupLimits(root.path);
}

const V2_MOUNT = '30 20 0:27 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate';
const v1Mount = (controllers: string, mountRoot = '/') =>
  `31 30 0:28 ${mountRoot} /sys/fs/cgroup/${controllers} rw - cgroup cgroup rw,${controllers}`;

test('version 2: quota, cores and memory', async () => {
  const limits = await limitsOf({
    'proc/self/cgroup': '0::/',
    'proc/self/mountinfo': V2_MOUNT,
    'sys/fs/cgroup/cpu.max': '150000 100000',
    'sys/fs/cgroup/cpuset.cpus.effective': '0-3,7',
    'sys/fs/cgroup/memory.max': String(2 * GB),
  });
  assert.deepEqual(limits, { cpus: 1.5, memoryBytes: 2 * GB });
});

test('version 2: fewer cores than the quota allows', async () => {
  const limits = await limitsOf({
    'proc/self/cgroup': '0::/',
    'proc/self/mountinfo': V2_MOUNT,
    'sys/fs/cgroup/cpu.max': 'max 100000',
    'sys/fs/cgroup/cpuset.cpus.effective': '2,5',
    'sys/fs/cgroup/memory.max': 'max',
  });
  assert.deepEqual(limits, { cpus: 2 });
});

test('version 2: the pod around a container may be limited more than it', async () => {
  const limits = await limitsOf({
    'proc/self/cgroup': '0::/kubepods/pod1/c1',
    'proc/self/mountinfo': V2_MOUNT,
    'sys/fs/cgroup/kubepods/pod1/c1/cpu.max': '400000 100000',
    'sys/fs/cgroup/kubepods/pod1/cpu.max': '300000 100000',
    'sys/fs/cgroup/kubepods/pod1/c1/memory.max': String(GB),
    'sys/fs/cgroup/kubepods/pod1/memory.max': String(3 * GB),
    'sys/fs/cgroup/kubepods/cpu.max': 'max 100000',
  });
  assert.deepEqual(limits, { cpus: 3, memoryBytes: GB });
});

test('version 1: each controller in a hierarchy of its own', async () => {
  const limits = await limitsOf({
    'proc/self/cgroup': '5:cpu,cpuacct:/kubepods/pod1\n4:memory:/kubepods/pod1\n3:cpuset:/kubepods/pod1\n0::/',
    'proc/self/mountinfo': [v1Mount('cpu,cpuacct'), v1Mount('memory'), v1Mount('cpuset')].join('\n'),
    'sys/fs/cgroup/cpu,cpuacct/kubepods/pod1/cpu.cfs_quota_us': '250000',
    'sys/fs/cgroup/cpu,cpuacct/kubepods/pod1/cpu.cfs_period_us': '100000',
    'sys/fs/cgroup/memory/kubepods/pod1/memory.limit_in_bytes': String(4 * GB),
    'sys/fs/cgroup/cpuset/kubepods/pod1/cpuset.effective_cpus': '0-7',
  });
  assert.deepEqual(limits, { cpus: 2.5, memoryBytes: 4 * GB });
});

test('version 1: no limit is written as -1, and as a number that nobody has', async () => {
  const limits = await limitsOf({
    'proc/self/cgroup': '5:cpu:/\n4:memory:/',
    'proc/self/mountinfo': [v1Mount('cpu'), v1Mount('memory')].join('\n'),
    'sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1',
    'sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000',
    'sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712',
  });
  assert.deepEqual(limits, {});
});

test('version 1 in a container: its own group is the root of what it sees', async () => {
  const limits = await limitsOf({
    'proc/self/cgroup': '4:memory:/docker/abc/inner',
    'proc/self/mountinfo': v1Mount('memory', '/docker/abc'),
    'sys/fs/cgroup/memory/memory.limit_in_bytes': String(2 * GB),
    'sys/fs/cgroup/memory/inner/memory.limit_in_bytes': String(GB),
  });
  assert.deepEqual(limits, { memoryBytes: GB });
});

test('both versions at once', async () => {
  const limits = await limitsOf({
    'proc/self/cgroup': '5:cpu:/a\n0::/b',
    'proc/self/mountinfo': [v1Mount('cpu'), V2_MOUNT.replace('/sys/fs/cgroup', '/sys/fs/cgroup/unified')].join('\n'),
    'sys/fs/cgroup/cpu/a/cpu.cfs_quota_us': '50000',
    'sys/fs/cgroup/cpu/a/cpu.cfs_period_us': '100000',
    'sys/fs/cgroup/unified/b/memory.max': String(GB),
  });
  assert.deepEqual(limits, { cpus: 0.5, memoryBytes: GB });
});

test('where there are no control groups, nothing is limited', async () => {
  assert.deepEqual(await limitsOf({}), {});
  assert.deepEqual(await limitsOf({ 'proc/self/cgroup': 'nonsense', 'proc/self/mountinfo': 'nonsense' }), {});
});

/** Version 1 of the kernel this runs on, if root may make a group there. */
function makeGroup(controller: string, files: Readonly<Record<string, string>>): string | undefined {
  const group = `/sys/fs/cgroup/${controller}/simple-ci-test-${process.pid}`;
  try {
    mkdirSync(group);
    for (const [name, value] of Object.entries(files)) writeFileSync(join(group, name), value);
    return group;
  } catch {
    return undefined;
  }
}

test('a process in a real control group finds its limits', t => {
  const cpu = makeGroup('cpu', { 'cpu.cfs_quota_us': '150000' });
  const memory = makeGroup('memory', { 'memory.limit_in_bytes': String(GB) });
  t.after(() => {
    for (const group of [cpu, memory]) if (group) rmdirSync(group);
  });
  if (!cpu || !memory) return t.skip('It takes root, and control groups of version 1 that can be written to');
  const file = fileURLToPath(new URL('../../node-runtime/system/cgroup-limits.ts', import.meta.url));
  const program = `import(${JSON.stringify(file)}).then(async m => console.log(JSON.stringify(await m.readCgroupLimits())))`;
  const join = `echo $$ > ${cpu}/cgroup.procs; echo $$ > ${memory}/cgroup.procs; exec "$0" -e '${program}'`;
  const { stdout, stderr } = spawnSync('sh', ['-c', join, process.execPath], { encoding: 'utf8' });
  const limits = JSON.parse(stdout || stderr) as CgroupLimits;
  assert.equal(limits.memoryBytes, GB);
  assert.ok(limits.cpus !== undefined && limits.cpus <= 1.5, stdout);
});
