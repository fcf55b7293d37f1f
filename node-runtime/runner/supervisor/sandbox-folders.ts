import { execFile } from 'node:child_process';
import { chownSync, mkdirSync, rmdirSync } from 'node:fs';
import { mkdtemp, readdir, readlink, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { SandboxFolders } from '../sandbox.ts';
import { isOf } from './process-tree.ts';
import { listProcesses, readEnvironment, readProcess } from './proc.ts';

/** How long the folders of a node in another container are left alone after their last change, in milliseconds. */
const FOREIGN_MS = 24 * 60 * 60 * 1000;
/** The names of a node's folder say whose it is: its pid, when that started, and in which namespace of pids. */
const OWNER = /^(\d+)-(\d+)-(\d+)-\w{6}$/;

/** Makes a folder for the sandboxes of this process. Others of the same machine have theirs beside it. */
export async function makeOwnFolder(root: string): Promise<string> {
  const { pid } = process;
  return mkdtemp(join(root, `${pid}-${startOf(pid)}-${await namespaceOf()}-`));
}

/** Kills the processes and removes the folders of nodes that are dead. */
export async function sweepDeadNodes(root: string, now: number): Promise<void> {
  const names = (await readdir(root)).filter(name => OWNER.test(name));
  const namespace = await namespaceOf();
  for (const name of names) {
    const folder = join(root, name);
    if (!(await isDead(name, folder, namespace, now))) continue;
    killMarked(`${folder}/`);
    await removeTree(folder);
  }
}

async function isDead(name: string, folder: string, namespace: string, now: number): Promise<boolean> {
  const [, pid, started, place] = name.match(OWNER)!;
  if (place !== namespace) return now - ((await stat(folder).catch(() => undefined))?.mtimeMs ?? now) > FOREIGN_MS;
  return !isAlive(Number(pid)) || startOf(Number(pid)) !== started;
}

/** Kills what carries the mark of a sandbox in this folder, until nothing does. */
export function killMarked(folder: string): void {
  if (process.platform !== 'linux') return;
  for (let round = 0; round < 10; round++) {
    const found = listProcesses().filter(
      pid => isOf(folder, readEnvironment(pid) ?? '') && readProcess(pid)?.state !== 'Z',
    );
    if (found.length === 0) return;
    for (const pid of found) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
  }
}

/** The three folders of a sandbox, for its user alone. Without waits, which would take ten times as long as the work. */
export function makeFolders(folder: string, user: number | undefined): SandboxFolders {
  const folders = foldersIn(folder);
  for (const path of [folder, ...Object.values(folders)]) {
    mkdirSync(path, { mode: 0o700 });
    if (user !== undefined) chownSync(path, user, user);
  }
  return folders;
}

function foldersIn(folder: string): SandboxFolders {
  return { workspace: join(folder, 'workspace'), home: join(folder, 'home'), tmp: join(folder, 'tmp') };
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
    execFile(program, args, (error, _out, text) =>
      error ? reject(new Error(text.slice(0, 500) || error.message)) : resolve(),
    );
  });
}
