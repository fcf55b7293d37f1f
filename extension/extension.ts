import { hostname } from 'node:os';
import * as l10n from '@vscode/l10n';
import * as vscode from 'vscode';
import { registerAgentTools } from './agent-tools.ts';
import { ArtifactCommands } from './artifact-commands.ts';
import { ArtifactFiles } from './artifact-files.ts';
import { ARTIFACT_SCHEME } from './artifact-uri.ts';
import { systemClock } from './clock.ts';
import { ClusterStore } from './cluster-store.ts';
import { ClusterViews } from './cluster-views.ts';
import { Clusters } from './clusters.ts';
import { CommandGuard } from './command-guard.ts';
import type { CommandId } from './commands.ts';
import { ConnectCommands } from './connect-commands.ts';
import type { Given, GivenLine } from './given.ts';
import { LogPanels } from './log-panels.ts';
import { MCP_PROVIDER, McpServers } from './mcp-servers.ts';
import { showWarning } from './messages.ts';
import { OwnLog } from './own-log.ts';
import { findProgram } from './program.ts';
import { RunCommands } from './run-commands.ts';
import { TaskPicker, type WorkspaceRun } from './task-picker.ts';
import type { RowElement } from './row-tree.ts';
import { SaveRuns } from './save-runs.ts';
import { SentTasks } from './sent-tasks.ts';
import { keepsLocalNode, notifications, programPath } from './settings.ts';
import { showNotice } from './show-notice.ts';
import { StatusItem } from './status-item.ts';
import { TaskCommands } from './task-commands.ts';
import { TaskFileHelp } from './task-file-help.ts';
import { TaskFileProblems } from './task-file-problems.ts';
import { TASK_FILES, YAML_TASK_FILES } from './task-files.ts';
import { TaskLenses } from './task-lenses.ts';
import { TaskNotices } from './task-notices.ts';
import { TaskPages } from './task-pages.ts';
import { TaskProblems } from './task-problems.ts';
import { ClusterTaskProvider, TASK_TYPE } from './task-provider.ts';
import { TerminalLinks } from './terminal-links.ts';
import { WorkspaceBranches } from './workspace-branches.ts';

let clusters: Clusters | undefined;

/** Puts the parts together. Nothing is connected, read or started here: that waits until somebody looks or runs something. */
export function activate(context: vscode.ExtensionContext): void {
  l10n.config({ contents: vscode.l10n.bundle ?? {} });
  const log = new OwnLog();
  const store = new ClusterStore(context);
  const program = () =>
    findProgram({
      setting: programPath(),
      bundle: vscode.Uri.joinPath(context.extensionUri, 'dist', 'simple-ci.cjs').fsPath,
      env: process.env,
      execPath: process.execPath,
      nodeVersion: process.versions.node,
      platform: process.platform,
    });
  const note = (text: string) => log.note(text);
  const mayStart = () => vscode.workspace.isTrusted;
  clusters = new Clusters({
    store,
    clock: systemClock,
    findProgram: program,
    localDataFolder: vscode.Uri.joinPath(context.globalStorageUri, 'local').fsPath,
    localNodeName: hostname().replace(/[^\w.-]/g, '-'),
    keepsLocalNode,
    note,
    mayStart,
  });
  const guard = new CommandGuard({ log, clusters });
  const branches = new WorkspaceBranches();
  const views = new ClusterViews({ clusters, clock: systemClock, memory: context.workspaceState, branches });
  const sent = new SentTasks(context.workspaceState);
  const panels = new LogPanels(clusters, sent, context);
  const status = new StatusItem(clusters, context.workspaceState);
  const problems = new TaskProblems(clusters, note);
  const connecting = new ConnectCommands(clusters, store);
  const pages = new TaskPages({ clusters, clock: systemClock, extension: context.extensionUri });
  const notices = new TaskNotices({
    connection: clusters.connection,
    memory: context.workspaceState,
    setting: notifications,
    isShown: task => panels.isShown(task) || pages.isShown(task),
    show: notice => void guard.run(() => showNotice(notice)),
  });
  const onRun = (task: string) => notices.follow(task);
  const tasks = new TaskCommands({ clusters, clock: systemClock, panels, pages, views, branches, sent, onRun });
  const picker = new TaskPicker({ memory: context.workspaceState, findProgram: program });
  const running = new RunCommands({
    clusters,
    panels,
    picker,
    consents: context.globalState,
    findProgram: program,
    note,
    onSubmitted: (submitted, edits) => {
      void status.submitted(submitted);
      void sent.remember(submitted.id, submitted);
      problems.follow(submitted, edits);
    },
    onRun,
  });
  const onSave = new SaveRuns({
    clusters,
    clock: systemClock,
    running,
    picker,
    panels,
    memory: context.workspaceState,
    note,
    onRun,
  });
  const { version } = context.extension.packageJSON as { readonly version: string };
  const mcp = new McpServers({ clusters, running, findProgram: program, version, note });
  const artifacts = new ArtifactFiles(clusters);
  const artifactCommands = new ArtifactCommands(clusters, sent);
  const fileHelp = new TaskFileHelp();
  const fileProblems = new TaskFileProblems(systemClock);
  context.subscriptions.push(
    log,
    branches,
    views,
    panels,
    pages,
    status,
    problems,
    new vscode.Disposable(() => notices[Symbol.dispose]()),
    vscode.tasks.registerTaskProvider(TASK_TYPE, new ClusterTaskProvider({ clusters, running, findProgram: program })),
    vscode.window.registerTerminalLinkProvider(new TerminalLinks(task => panels.show({ task }))),
    ...registerAgentTools({ clusters, running, findProgram: program, clock: systemClock, mayStart }),
    mcp,
    vscode.lm.registerMcpServerDefinitionProvider(MCP_PROVIDER, mcp),
    vscode.window.registerUriHandler({ handleUri: uri => guard.run(() => tasks.openLink(uri)) }),
    vscode.workspace.registerFileSystemProvider(ARTIFACT_SCHEME, artifacts, { isReadonly: true }),
    vscode.languages.registerCodeLensProvider(TASK_FILES, new TaskLenses()),
    vscode.languages.registerCompletionItemProvider(YAML_TASK_FILES, fileHelp, ' '),
    vscode.languages.registerHoverProvider(YAML_TASK_FILES, fileHelp),
    vscode.languages.registerCodeActionsProvider(TASK_FILES, fileProblems, {
      providedCodeActionKinds: [vscode.CodeActionKind.QuickFix],
    }),
    fileProblems,
    onSave,
    ...register(guard, {
      'simple-ci.startLocalNode': () => connecting.startLocalNode(),
      'simple-ci.stopLocalNode': () => connecting.stopLocalNode(),
      'simple-ci.connect': () => connecting.connect(),
      'simple-ci.switchCluster': () => connecting.switchCluster(),
      'simple-ci.forgetCluster': () => connecting.forgetCluster(),
      'simple-ci.reconnect': () => connecting.reconnect(),
      'simple-ci.runTask': () => running.runTask(),
      'simple-ci.runNamedTask': (run: WorkspaceRun) => running.runTask(run),
      'simple-ci.toggleRunOnSave': () => onSave.toggle(),
      'simple-ci.runLast': () => running.runLast(),
      'simple-ci.runAgain': (given: Given) => tasks.runAgain(given),
      'simple-ci.cancelTask': (given: Given, selected?: readonly RowElement[]) => tasks.cancel(given, selected),
      'simple-ci.openLog': (given: Given) => tasks.openLog(given),
      'simple-ci.openTask': (given: Given) => tasks.openPage(given),
      'simple-ci.openLogToSide': (given: Given) => tasks.openLogToSide(given),
      'simple-ci.compareAttempts': (given: Given) => tasks.compareAttempts(given),
      'simple-ci.saveLog': (given: Given) => tasks.saveLog(given),
      'simple-ci.findInLog': async () => panels.find(),
      'simple-ci.toggleTimestamps': async () => panels.nextTimestamps(),
      'simple-ci.copyTaskId': (given: Given) => tasks.copyTaskId(given),
      'simple-ci.copyTaskLink': (given: GivenLine) => tasks.copyTaskLink(given),
      'simple-ci.copyLineLink': (given: GivenLine) => tasks.copyLineLink(given),
      'simple-ci.filterTasks': () => tasks.filterTasks(),
      'simple-ci.clearFilter': () => tasks.clearFilter(),
      'simple-ci.openArtifact': (given: Given) => artifactCommands.open(given),
      'simple-ci.saveArtifact': (given: Given) => artifactCommands.save(given),
      'simple-ci.compareArtifact': (given: Given) => artifactCommands.compare(given),
      'simple-ci.saveArtifacts': (given: Given) => artifactCommands.saveAll(given),
      'simple-ci.showOwnLog': async () => log.show(),
    }),
    ...tellMenus(clusters),
  );
  // Where going back starts nothing, the status bar tells of the cluster at once.
  if (clusters.isRemote) void guard.run(() => clusters!.ready());
}

/** The window closes, or the extension is switched off: the local node ends with it. */
export async function deactivate(): Promise<void> {
  await clusters?.[Symbol.asyncDispose]();
  clusters = undefined;
}

// biome-ignore lint/suspicious/noExplicitAny: what VS Code passes to a command depends on where it was called.
type Handlers = Record<CommandId, (...given: any[]) => Promise<void>>;

function register(guard: CommandGuard, handlers: Handlers): vscode.Disposable[] {
  return Object.entries(handlers).map(([id, handle]) =>
    vscode.commands.registerCommand(id, (...given: unknown[]) => guard.run(() => handle(...given))),
  );
}

/** What `when` clauses ask for: where the connection stands, and whether a local node runs, be it the one that is meant or not. */
function tellMenus(clusters: Clusters): vscode.Disposable[] {
  const { connection, localNodeChanged, localNodeLost } = clusters;
  const tell = (name: string, value: unknown) => void vscode.commands.executeCommand('setContext', name, value);
  const update = () => {
    const now = connection.connection;
    tell('simple-ci.connection', now.kind);
    tell('simple-ci.isLocal', now.kind !== 'none' && now.choice.id === 'local');
    tell('simple-ci.hasLocalNode', clusters.hasLocalNode);
  };
  update();
  const listening = [
    connection.connectionChanged.on(update),
    localNodeChanged.on(update),
    localNodeLost.on(why => void showWarning(l10n.t`The local node ended: ${why}`)),
  ];
  return listening.map(one => new vscode.Disposable(() => one[Symbol.dispose]()));
}
