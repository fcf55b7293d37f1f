import { WORKSPACE_FOLDER } from '../../../shared/node-workspace.ts';
import { execFile } from 'node:child_process';
import { chownSync, mkdirSync, rmdirSync } from 'node:fs';
import { chmod, lstat, mkdir, readdir, readlink, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../system/clock.ts';
import type { SandboxFolders } from '../sandbox.ts';
import { killProcesses } from './kill-processes.ts';
import { readProcess } from './proc.ts';
import { findMarked } from './process-marks.ts';
import { blockOf, LOWEST_USER, lockUserBlock } from './user-block.ts';
import { SYSTEM_PATH } from '../system-path.ts';

/** How long the folders of a node in another container are left alone after their last change, in milliseconds. */
const FOREIGN_MS = 24 * 60 * 60 * 1000;
/** The names of a node's folder say whose it is: its pid, when that started, in which namespace of pids, and its tag. */
const OWNER = /^(\d+)-(\d+)-(\d+)-(\d+)$/;

/** Makes a folder for the sandboxes of a node, by its process. Others of the same machine have theirs beside it. */
export async function makeOwnFolder(
  root: string,
  { node, tag, ownUsers }: { node: number; tag: number; ownUsers: boolean },
): Promise<string> {
  const folder = join(root, `${node}-${startOf(node)}-${await namespaceOf()}-${tag}`);
  await mkdir(folder);
  await chmod(folder, ownUsers ? 0o711 : 0o700);
  return folder;
}

/**
 * Asks ext4 to put each sandbox of the folder into another part of the disk; other file systems refuse, and need it not. Where
 * it has no journal, as in many small virtual machines, ext4 takes nothing again for minutes of what was deleted: for each new
 * file it looks through all those of the same part. A check-out of 2,000 files took 1900 ms after twenty others, not 40.
 */
export async function spreadOverDisk(folder: string): Promise<void> {
  await execute('chattr', ['+T', folder]).catch(() => undefined);
}

/** Kills the processes and removes the folders of nodes that are dead. Several may be at it at once. */
export async function sweepDeadNodes(root: string, clock: Clock): Promise<void> {
  const names = (await readdir(root)).filter(name => OWNER.test(name));
  const namespace = await namespaceOf();
  for (const name of names)
    if (await isDead(name, join(root, name), namespace, clock.now())) await sweep(root, name, clock);
}

async function sweep(root: string, name: string, clock: Clock): Promise<void> {
  const folder = join(root, name);
  for (const user of await usersIn(folder)) {
    const block = await lockUserBlock(blockOf(user));
    // Another node has these users now, and has seen to it that nobody else runs as them.
    if (block) await killProcesses(after => findMarked({ kind: 'user', user }, after), clock, user);
    block?.lock.close();
  }
  const tag = Number(name.match(OWNER)![4]);
  await killProcesses(after => findMarked({ kind: 'tag', tag }, after), clock);
  await killProcesses(after => findMarked({ kind: 'folder', folder: `${folder}/` }, after), clock);
  await removeTree(folder);
}

/** Whose the sandboxes in a folder are, where these users are made for that. */
async function usersIn(folder: string): Promise<number[]> {
  if (process.getuid?.() !== 0) return [];
  const users = (await readdir(folder).catch(() => [])).map(name => ownerOf(foldersIn(join(folder, name)).home));
  return (await Promise.all(users)).filter(user => user >= LOWEST_USER);
}

/** -1 when there is no such thing. */
async function ownerOf(path: string): Promise<number> {
  return (await lstat(path).catch(() => undefined))?.uid ?? -1;
}

async function isDead(name: string, folder: string, namespace: string, now: number): Promise<boolean> {
  const [, pid, started, place] = name.match(OWNER)!;
  if (place !== namespace) return now - ((await stat(folder).catch(() => undefined))?.mtimeMs ?? now) > FOREIGN_MS;
  return !isAlive(Number(pid)) || startOf(Number(pid)) !== started;
}

/**
 * The three folders of a sandbox, for its user alone, in one that stays ours: in its own, a task could put a link in the place
 * of one of the three, and have us keep as artifacts what only we may read. Without waits, which would take ten times as long
 * as the work.
 */
export function makeFolders(folder: string, user: number | undefined): SandboxFolders {
  const folders = foldersIn(folder);
  mkdirSync(folder, { recursive: true, mode: user === undefined ? 0o700 : 0o711 });
  for (const path of Object.values(folders)) {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    if (user !== undefined) chownSync(path, user, user);
  }
  return folders;
}

export function foldersIn(folder: string): SandboxFolders {
  return { workspace: join(folder, WORKSPACE_FOLDER), home: join(folder, 'home'), tmp: join(folder, 'tmp') };
}

/** Removes the folders of a sandbox that has left nothing in them, at once. Tells whether that was so. */
export function removeEmptyFolders(folder: string): boolean {
  try {
    for (const path of [...Object.values(foldersIn(folder)), folder]) rmdirSync(path);
    return true;
  } catch {
    return false;
  }
}

/** Gives a tree to a user. Links are changed themselves, never followed. */
export async function giveTree(path: string, user: number): Promise<void> {
  await execute('chown', ['-R', '-h', '-P', '--', `${user}:${user}`, path]);
}

/**
 * Removes whatever a task has left, without following its links. To be called when nothing of the task runs. What the quick
 * way cannot do, closed folders and paths that are too long for the system, is left to programs made for it.
 */
export async function removeTree(folder: string): Promise<void> {
  try {
    await rm(folder, { recursive: true, force: true });
  } catch {
    await execute('chmod', ['-R', 'u+rwx', folder]).catch(() => undefined);
    await execute('rm', ['-rf', '--', folder]);
  }
}

function startOf(pid: number): string {
  return process.platform === 'linux' ? (readProcess(pid)?.started ?? '0') : '0';
}

async function namespaceOf(): Promise<string> {
  return (await readlink('/proc/self/ns/pid').catch(() => '')).replace(/\D/g, '') || '0';
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function execute(program: string, args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    execFile(program, args, { env: { PATH: SYSTEM_PATH } }, (error, _out, text) =>
      error ? reject(new Error(text.slice(0, 500) || error.message)) : resolve(),
    );
  });
}
