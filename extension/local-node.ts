import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import * as l10n from '@vscode/l10n';
import { CiError } from '../shared/errors.ts';
import type { Program } from './program.ts';
import { keepSaid, parseLine, startProgram } from './run-program.ts';

export interface LocalNodeAddress {
  readonly url: string;
  readonly token: string;
}

export interface LocalNodeOptions {
  readonly program: Program;
  /** Where the node keeps its cluster; nodes of several windows share it. */
  readonly dataFolder: string;
  /** Of this window's node, among those of other windows. */
  readonly name: string;
  readonly note: (text: string) => void;
}

export const LOCAL_CLUSTER = 'local';

/** A node of this machine’s own cluster that this window uses. */
export interface UsedNode {
  readonly address: LocalNodeAddress;
  /** Resolves when it is seen to have ended, with what it said last. */
  readonly ended: Promise<string>;
  isAlive(): Promise<boolean>;
  /** What it runs is handed back. */
  end(): Promise<void>;
}

/** The words that start one, but for how it ends. */
export function localNodeWords({ dataFolder, name }: Pick<LocalNodeOptions, 'dataFolder' | 'name'>): string[] {
  const place = ['--cluster', LOCAL_CLUSTER, '--listen', '127.0.0.1:0', '--data', dataFolder, '--node-id', name];
  return ['node', ...place, '--isolation', 'none', '--drain-timeout', '0s', '--log-level', 'warn', '--json'];
}

/**
 * A node of this machine's own cluster, as a child of this process. Its input is a pipe from here: however this process ends,
 * the node notices, hands back what it runs and ends too.
 */
export class LocalNode implements UsedNode {
  readonly address: LocalNodeAddress;
  /** Resolves when the process has ended, with what it said last. */
  readonly ended: Promise<string>;
  readonly #child: ChildProcessWithoutNullStreams;

  private constructor(child: ChildProcessWithoutNullStreams, address: LocalNodeAddress, ended: Promise<string>) {
    this.#child = child;
    this.address = address;
    this.ended = ended;
  }

  /** Resolves when the node is ready. */
  static async start(options: LocalNodeOptions, signal: AbortSignal): Promise<LocalNode> {
    const { program, dataFolder, name, note } = options;
    const args = [...localNodeWords({ dataFolder, name }), '--attached'];
    const child = startProgram(program, { args });
    const said = keepSaid(child);
    const ended = once(child, 'close').then(
      ([code]) => said() || l10n.t('it ended with {0}', String(code)),
      (error: Error) => error.message,
    );
    child.stdin.on('error', () => undefined);
    const stop = () => void child.kill('SIGKILL');
    signal.addEventListener('abort', stop, { once: true });
    try {
      const address = await Promise.race([readyLine(child, note), ended.then(cannotStart)]);
      return new LocalNode(child, address, ended);
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  async isAlive(): Promise<boolean> {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  async end(): Promise<void> {
    this.#child.stdin.end();
    await this.ended;
  }
}

function readyLine(child: ChildProcessWithoutNullStreams, note: (text: string) => void): Promise<LocalNodeAddress> {
  return new Promise(resolve => {
    createInterface({ input: child.stdout }).on('line', line => {
      const { event, text } = parseLine(line);
      const address = addressIn(line);
      if (address) resolve(address);
      // What the first start says holds the token.
      if (event !== 'admin-token') note(`Local node: ${String(text)}`);
    });
  });
}

/** Of the line with which a node says that it is ready. */
export function addressIn(line: string): LocalNodeAddress | undefined {
  const { event, address, token } = parseLine(line);
  return event === 'ready' ? { url: String(address), token: String(token) } : undefined;
}

export function cannotStart(why: string): never {
  throw new CiError('unavailable', l10n.t`Cannot start a local node: ${why}`);
}
