import { readFile } from 'node:fs/promises';
import { join, posix } from 'node:path';

/** What the control groups of this process leave to it; absent: no limit, or none that can be read. */
export interface CgroupLimits {
  /** Cores, perhaps a part of one. */
  readonly cpus?: number;
  readonly memoryBytes?: number;
}

/** From here on, a limit of memory in version 1 means none. */
const UNLIMITED_BYTES = 2 ** 60;

/**
 * The limits of CPU time, cores and memory, of control groups of either version and of both at once. Every group above counts too: a
 * container may be limited less than the pod around it.
 * @param root where `/proc` and the mounted control groups are
 */
export async function readCgroupLimits(root = '/'): Promise<CgroupLimits> {
  const cpus: number[] = [];
  const memory: number[] = [];
  for (const { folders, version, controllers } of await listHierarchies(root)) {
    const has = (controller: string) => version === 2 || controllers.includes(controller);
    for (const folder of folders) {
      const read = (name: string) => readText(join(root, folder, name));
      if (has('cpu')) cpus.push(version === 2 ? quotaOf(await read('cpu.max')) : await readQuota(read));
      if (has('cpuset'))
        cpus.push(countCores(await read(version === 2 ? 'cpuset.cpus.effective' : 'cpuset.effective_cpus')));
      if (has('memory')) memory.push(bytesOf(await read(version === 2 ? 'memory.max' : 'memory.limit_in_bytes')));
    }
  }
  const [fewest, least] = [Math.min(...cpus), Math.min(...memory)];
  return {
    ...(Number.isFinite(fewest) && { cpus: fewest }),
    ...(Number.isFinite(least) && { memoryBytes: least }),
  };
}

interface Hierarchy {
  readonly version: 1 | 2;
  readonly controllers: readonly string[];
  /** Of the group of this process and of those around it, as far as they are mounted. */
  readonly folders: readonly string[];
}

interface Mount {
  readonly version: 1 | 2;
  readonly controllers: readonly string[];
  /** Which group the mount shows as its root. */
  readonly mountRoot: string;
  readonly at: string;
}

async function listHierarchies(root: string): Promise<Hierarchy[]> {
  const groups = parseGroups(await readText(join(root, 'proc/self/cgroup')));
  const mounts = (await readText(join(root, 'proc/self/mountinfo'))).split('\n').flatMap(parseMount);
  return mounts.flatMap(({ version, controllers, mountRoot, at }) => {
    const group = groups.find(one =>
      version === 2 ? one.controllers.length === 0 : one.controllers.some(name => controllers.includes(name)),
    );
    return group ? [{ version, controllers, folders: foldersOf(group.path, mountRoot, at) }] : [];
  });
}

/** Lines such as `4:memory:/kubepods/pod1/c1` and, of version 2, `0::/kubepods/pod1/c1`. */
function parseGroups(text: string): { controllers: string[]; path: string }[] {
  return text.split('\n').flatMap(line => {
    const [, names, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    return path === undefined ? [] : [{ controllers: names ? names.split(',') : [], path }];
  });
}

/** Lines such as `35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory`. */
function parseMount(line: string): Mount[] {
  const [before = '', after = ''] = line.split(' - ');
  const [, , , mountRoot = '', at = ''] = before.split(' ');
  const [type, , options = ''] = after.split(' ');
  if (type === 'cgroup2') return [{ version: 2, controllers: [], mountRoot, at }];
  return type === 'cgroup' ? [{ version: 1, controllers: options.split(','), mountRoot, at }] : [];
}

/** In a container the group may be mounted as a root of its own, and the path that the kernel tells begins further up. */
function foldersOf(path: string, mountRoot: string, at: string): string[] {
  const inside = path === mountRoot || path.startsWith(`${trimSlash(mountRoot)}/`);
  const relative = inside ? path.slice(trimSlash(mountRoot).length) : '/';
  const folders: string[] = [];
  for (let part = relative || '/'; ; part = posix.dirname(part)) {
    folders.push(posix.join(at, part));
    if (part === '/') return folders;
  }
}

function trimSlash(path: string): string {
  return path.replace(/\/$/, '');
}

async function readQuota(read: (name: string) => Promise<string>): Promise<number> {
  const quota = await read('cpu.cfs_quota_us');
  return quotaOf(`${quota} ${await read('cpu.cfs_period_us')}`);
}

/** `50000 100000` is half a core; `max 100000` and `-1 100000` are no limit. */
function quotaOf(text: string): number {
  const [quota, period] = text.split(/\s+/).map(Number);
  return quota! > 0 && period! > 0 ? quota! / period! : Number.POSITIVE_INFINITY;
}

/** `0-3,7` are five. */
function countCores(text: string): number {
  const ranges = text.split(',').flatMap(range => {
    const [, first, last] = /^(\d+)(?:-(\d+))?$/.exec(range) ?? [];
    return first === undefined ? [] : [Number(last ?? first) - Number(first) + 1];
  });
  return ranges.length > 0 ? ranges.reduce((sum, one) => sum + one, 0) : Number.POSITIVE_INFINITY;
}

function bytesOf(text: string): number {
  return /^\d+$/.test(text) && Number(text) < UNLIMITED_BYTES ? Number(text) : Number.POSITIVE_INFINITY;
}

/** Empty when there is no such file. */
async function readText(file: string): Promise<string> {
  return readFile(file, 'utf8').then(
    text => text.trim(),
    () => '',
  );
}
