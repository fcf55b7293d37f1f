import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as l10n from '@vscode/l10n';
import { createClient } from '../shared/client.ts';
import type { Clock } from './clock.ts';
import {
  addressIn,
  cannotStart,
  LOCAL_CLUSTER,
  type LocalNodeAddress,
  localNodeWords,
  type UsedNode,
} from './local-node.ts';
import type { Program } from './program.ts';

export interface KeptNodeOptions {
  readonly program: Program;
  /** Where the node keeps its cluster, and where it is written down how to find it. */
  readonly dataFolder: string;
  /** Of this machine: there is one kept node. */
  readonly name: string;
  readonly clock: Clock;
}

/** How to find it again. Whoever may read the folder may read the token in it anyway. */
interface KeptRecord extends LocalNodeAddress {
  readonly pid: number;
  /** Which start of it: another process may have its number by now. */
  readonly instance: string;
}

const RECORD = 'kept-node.json';
const READY_WITHIN_MS = 60_000;
const ASK_MS = 5000;
const LOOK_MS = 100;
/** It hands back what it runs at once. */
const ENDS_WITHIN_MS = 30_000;

/** A node of this machine's own cluster that goes on when the window closes: a process of its own, which the next window finds. */
export class KeptNode implements UsedNode {
  readonly address: LocalNodeAddress;
  /** Nobody sees its end: who asks it and gets no answer knows. */
  readonly ended = new Promise<string>(() => undefined);
  readonly #record: KeptRecord;
  readonly #options: Pick<KeptNodeOptions, 'dataFolder' | 'clock'>;

  private constructor(record: KeptRecord, options: Pick<KeptNodeOptions, 'dataFolder' | 'clock'>) {
    this.#record = record;
    this.#options = options;
    this.address = { url: record.url, token: record.token };
  }

  /** The one that an earlier window has left running. */
  static async find(options: Pick<KeptNodeOptions, 'dataFolder' | 'clock'>): Promise<KeptNode | undefined> {
    const record = await readRecord(options.dataFolder);
    if (!record) return undefined;
    const node = new KeptNode(record, options);
    return (await node.isAlive()) ? node : undefined;
  }

  /** Resolves when it is ready. */
  static async start(options: KeptNodeOptions, signal: AbortSignal): Promise<KeptNode> {
    const { program, dataFolder, clock } = options;
    await mkdir(dataFolder, { recursive: true, mode: 0o700 });
    const path = join(dataFolder, `kept-node.${process.pid}.log`);
    await rm(path, { force: true });
    await using output = await open(path, 'ax', 0o600);
    const args = [...program.args, ...localNodeWords(options), '--say-token'];
    const stdio = ['ignore', output.fd, output.fd] as const;
    const child = spawn(program.command, args, { env: program.env, stdio: [...stdio], detached: true });
    const ended = once(child, 'exit').then(
      () => false as const,
      () => false as const,
    );
    try {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(READY_WITHIN_MS)]);
      const address = await readyAddress(path, clock, ended, limit);
      if (!address || child.pid === undefined) return await anotherOne(options, path);
      const record = { ...address, pid: child.pid, instance: await instanceAt(address) };
      await writeRecord(dataFolder, record);
      child.unref();
      return new KeptNode(record, options);
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    } finally {
      await rm(path, { force: true });
    }
  }

  async isAlive(): Promise<boolean> {
    return (await instanceAt(this.address).catch(() => undefined)) === this.#record.instance;
  }

  async end(): Promise<void> {
    const { clock, dataFolder } = this.#options;
    if (await this.isAlive()) process.kill(this.#record.pid, 'SIGTERM');
    await rm(join(dataFolder, RECORD), { force: true });
    const limit = AbortSignal.timeout(ENDS_WITHIN_MS);
    while (!limit.aborted && (await this.isAlive())) await clock.sleep(LOOK_MS, limit).catch(() => undefined);
  }
}

/** Another window was quicker: a second node of the same name is refused. */
async function anotherOne(options: KeptNodeOptions, output: string): Promise<KeptNode> {
  const found = await KeptNode.find(options);
  if (found) return found;
  const said = await readFile(output, 'utf8').catch(() => '');
  return cannotStart(said.trim().replace(/^simple-ci: /gm, '') || l10n.t('it ended at once'));
}

async function readyAddress(
  path: string,
  clock: Clock,
  ended: Promise<false>,
  signal: AbortSignal,
): Promise<LocalNodeAddress | undefined> {
  for (let isRunning = true; ; ) {
    const lines = (await readFile(path, 'utf8')).split('\n');
    const address = lines.map(addressIn).find(found => found !== undefined);
    if (address || !isRunning) return address;
    isRunning = await Promise.race([ended, clock.sleep(LOOK_MS, signal).then(() => true)]);
  }
}

/** Which start of a node answers there; rejects if none of the local cluster does. */
async function instanceAt({ url, token }: LocalNodeAddress): Promise<string> {
  await using client = createClient({ urls: [url], token, patienceMs: 0 });
  const { cluster, instance } = await client.call('cluster', {}, AbortSignal.timeout(ASK_MS));
  return cluster === LOCAL_CLUSTER ? instance : '';
}

async function readRecord(folder: string): Promise<KeptRecord | undefined> {
  try {
    return JSON.parse(await readFile(join(folder, RECORD), 'utf8')) as KeptRecord;
  } catch {
    return undefined;
  }
}

/** All of it or nothing: another window may be reading. */
async function writeRecord(folder: string, record: KeptRecord): Promise<void> {
  const fresh = join(folder, `${RECORD}.${process.pid}`);
  await writeFile(fresh, JSON.stringify(record), { mode: 0o600 });
  await rename(fresh, join(folder, RECORD));
}
