import * as l10n from '@vscode/l10n';
import * as vscode from 'vscode';
import { describeError } from '../shared/errors.ts';
import type { Clusters } from './clusters.ts';
import type { ClusterChoice } from './connection.ts';
import { LOCAL_CLUSTER } from './local-node.ts';
import { openFolders } from './open-folders.ts';
import type { Program } from './program.ts';
import type { RunCommands } from './run-commands.ts';

export const MCP_PROVIDER = 'simple-ci.mcp';

export interface McpServersOptions {
  readonly clusters: Clusters;
  readonly running: RunCommands;
  readonly findProgram: () => Promise<Program>;
  /** Of the extension. */
  readonly version: string;
  readonly note: (text: string) => void;
}

/**
 * Tells VS Code of `simple-ci mcp` for the cluster that is meant. VS Code keeps what it is told here: the address and the token are handed over
 * only when the server is started, in its environment, and are written nowhere.
 */
export class McpServers
  implements vscode.McpServerDefinitionProvider<vscode.McpStdioServerDefinition>, vscode.Disposable
{
  readonly #options: McpServersOptions;
  readonly #changed = new vscode.EventEmitter<void>();
  readonly #listening: readonly Disposable[];
  /** Of the cluster that was told last. */
  #told: string | undefined;
  readonly onDidChangeMcpServerDefinitions = this.#changed.event;

  constructor(options: McpServersOptions) {
    this.#options = options;
    this.#listening = [options.clusters.connection.connectionChanged.on(() => this.#look())];
  }

  async provideMcpServerDefinitions(): Promise<vscode.McpStdioServerDefinition[]> {
    const choice = this.#choice;
    const folder = openFolders().current;
    this.#told = choice?.id;
    if (!choice || folder?.scheme !== 'file' || !vscode.workspace.isTrusted) return [];
    const { command, args } = await this.#options.findProgram();
    const own = args.length === 0 ? {} : { ELECTRON_RUN_AS_NODE: '1' };
    const path = choice.id === LOCAL_CLUSTER ? ['--env', 'PATH'] : [];
    const words = [...args, 'mcp', '-C', folder.fsPath, ...path];
    const { version } = this.#options;
    return [new vscode.McpStdioServerDefinition(`Simple CI (${choice.label})`, command, words, own, version)];
  }

  /** Undefined if the user does not want his files to go there. */
  async resolveMcpServerDefinition(
    server: vscode.McpStdioServerDefinition,
  ): Promise<vscode.McpStdioServerDefinition | undefined> {
    const { clusters, running, note } = this.#options;
    await clusters.ready();
    const choice = this.#choice;
    if (!choice || !(await running.checkConsent(choice))) return undefined;
    const { connection } = clusters;
    // So that the other nodes are known. Where none answers now, one may later.
    await connection.reach(l10n.t('Cannot start the tools for agents')).catch(error => note(describeError(error)));
    const secret = {
      SIMPLE_CI_URL: connection.urlsOf(choice).join(','),
      SIMPLE_CI_TOKEN: await clusters.tokenOf(choice),
    };
    server.env = { ...server.env, ...secret };
    return server;
  }

  dispose(): void {
    for (const listener of this.#listening) listener[Symbol.dispose]();
    this.#changed.dispose();
  }

  get #choice(): ClusterChoice | undefined {
    const { connection } = this.#options.clusters.connection;
    return connection.kind === 'none' ? undefined : connection.choice;
  }

  /** A connection comes and goes; the server is another one only for another cluster. */
  #look(): void {
    if (this.#choice?.id !== this.#told) this.#changed.fire();
  }
}
