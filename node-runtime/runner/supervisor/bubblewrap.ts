import { BUBBLEWRAP_WORKSPACE } from '../../../shared/node-workspace.ts';
import type { CommandEnd, SandboxFolders } from '../sandbox.ts';
import type { CommandPlan } from './messages.ts';

/** Where commands see their folders: the same on every node. */
export const INSIDE: SandboxFolders = { workspace: BUBBLEWRAP_WORKSPACE, home: '/home/task', tmp: '/tmp' };

/** What the machine's own file system looks like, as far as a sandbox's is made from it. */
export interface SystemFolders {
  /** Of `/bin`, `/sbin`, `/lib…`: where each link leads, or null for a folder. */
  readonly links: Readonly<Record<string, string | null>>;
  /** Folders that are shown as they are, such as `/usr`. */
  readonly shown: readonly string[];
  /** Folders in `/etc` that may hold what is not for tasks. */
  readonly hidden: readonly string[];
  /** The real file behind `/etc/resolv.conf`, where that is a link out of `/etc`. */
  readonly resolver?: string;
  /** Our own `/etc/passwd` and `/etc/group`. */
  readonly users: { readonly passwd: string; readonly group: string };
}

/** Where the namespaces that a command joins are given to bubblewrap, as open files. */
export const JOINED = { arguments: 3, status: 4, users: 5, processes: 6 } as const;

/** What the holder of a sandbox's namespaces does: it says that they are ready, and then nothing, also when asked to end. */
export const HOLD = ['/bin/sh', '-c', "trap '' TERM INT HUP; echo ready; exec sleep 2147483647 >&-"] as const;

/** The arguments for the holder: namespaces of users and processes, in a file system that has nothing but what it needs. */
export function bubblewrapHolder(system: SystemFolders): string[] {
  const namespaces = [
    '--unshare-user',
    '--uid',
    '1000',
    '--gid',
    '1000',
    '--unshare-pid',
    '--new-session',
    '--clearenv',
  ];
  // No devices: for them bubblewrap would make a second namespace of users, and processes would belong to the first.
  return [...namespaces, ...programs({ ...system, shown: system.shown.filter(path => path !== '/opt') })];
}

/**
 * The arguments for commands: the namespaces of the holder, the system's programs read-only, the sandbox's own three folders,
 * its own processes, devices and nothing else; the network is the machine's.
 */
export function bubblewrapLayout(system: SystemFolders, folders: SandboxFolders): string[] {
  return [
    ...['--userns', String(JOINED.users), '--pidns', String(JOINED.processes)],
    ...['--unshare-ipc', '--unshare-uts', '--unshare-cgroup-try', '--new-session'],
    ...programs(system),
    ...show('/etc'),
    ...system.hidden.flatMap(path => ['--tmpfs', path]),
    ...['--ro-bind', system.users.passwd, '/etc/passwd', '--ro-bind', system.users.group, '/etc/group'],
    ...['--dir', '/run', '--dir', '/var', '--symlink', '../tmp', '/var/tmp', '--symlink', '../run', '/var/run'],
    ...(system.resolver ? show(system.resolver) : []),
    ...['--proc', '/proc', '--dev', '/dev'],
    ...['--ro-bind-try', '/sys/devices/system/cpu', '/sys/devices/system/cpu'],
    ...['--bind', folders.tmp, INSIDE.tmp],
    ...['--bind', folders.home, INSIDE.home],
    ...['--bind', folders.workspace, INSIDE.workspace],
  ];
}

function programs({ shown, links }: SystemFolders): string[] {
  const linked = Object.entries(links).flatMap(([path, target]) =>
    target === null ? show(path) : ['--symlink', target, path],
  );
  return [...shown.flatMap(show), ...linked];
}

function show(path: string): string[] {
  return ['--ro-bind', path, path];
}

/** All of it for one command; bubblewrap itself adds PWD to the variables. Environments travel this way since command lines are everybody's to read. */
export function bubblewrapArguments(layout: readonly string[], { cwd, env }: CommandPlan): string[] {
  const variables = Object.entries(env).flatMap(([name, value]) => ['--setenv', name, value]);
  return [...layout, '--clearenv', ...variables, '--chdir', cwd];
}

/** Whether bubblewrap has come as far as to start its command, by its status: that names the code of what was started only. */
export function wasStarted(status: string): boolean {
  return status.includes('"exit-code"');
}

/** The codes of a trial that has found out why the command cannot be started. None that bubblewrap or a shell gives by itself. */
const CANNOT_START = 64;
const NO_FOLDER = 65;
const TRIAL = `cd -- "$1" || exit ${NO_FOLDER}; { case $2 in */*) [ -f "$2" ] && [ -x "$2" ];; *) command -v -- "$2";; esac; } || exit ${CANNOT_START}`;

/** A command of our own that anybody can start, in the same sandbox: it looks whether the other one can be. */
export function startTrial({ argv, cwd, env, pipe }: CommandPlan): CommandPlan {
  const { PATH = '' } = env;
  return { argv: ['/bin/sh', '-c', TRIAL, 'sh', cwd, argv[0]], cwd: '/', env: { PATH }, pipe };
}

/** Whether a trial that was started says so. */
export function cannotStart(trial: CommandEnd): boolean {
  return trial.kind === 'exited' && (trial.code === CANNOT_START || trial.code === NO_FOLDER);
}

export function notStartedInBubblewrap({ argv }: CommandPlan, trial: CommandEnd): CommandEnd {
  if (trial.kind === 'exited' && trial.code === NO_FOLDER) return { kind: 'no-folder' };
  const message = `Cannot start ${JSON.stringify(argv[0])} as it is no program that may be executed`;
  return { kind: 'not-started', message };
}
