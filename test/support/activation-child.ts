// Loads the bundled extension as VS Code does, and activates it in a window where somebody has been before. Prints what that took, and
// what was asked of the network or started meanwhile. Ends by itself if nothing goes on.
import { ChildProcess } from 'node:child_process';
import { registerHooks } from 'node:module';
import { Socket } from 'node:net';
import { pathToFileURL } from 'node:url';

const [bundle = ''] = process.argv.slice(2);
const calls: string[] = [];

/** Stands for whatever of VS Code is not looked into: can be called, made, read and disposed of. */
function anything(): unknown {
  return new Proxy(class {}, {
    get: (target, name) => {
      if (name === Symbol.toPrimitive) return () => '';
      if (name === Symbol.iterator) return [][Symbol.iterator];
      if (name === 'then') return undefined;
      return name === 'prototype' ? target.prototype : anything();
    },
    set: () => true,
    apply: anything,
    construct: () => anything() as object,
  });
}

const memento = { get: (_: string, otherwise: unknown) => otherwise, update: async () => undefined };
const vscode: Record<string, unknown> = {
  EventEmitter: class {
    event = () => ({ dispose: () => undefined });
    fire(): void {}
  },
  Disposable: class {},
  l10n: { bundle: undefined },
  extensions: { all: [], getExtension: () => undefined },
  workspace: new Proxy(anything() as object, {
    get: (target, name) => (name === 'isTrusted' ? true : name === 'textDocuments' ? [] : Reflect.get(target, name)),
  }),
};
const NAMES =
  'CancellationError CodeAction CodeActionKind CodeLens CompletionItem CompletionItemKind CustomExecution Diagnostic DiagnosticSeverity Disposable EventEmitter FilePermission FileSystemError FileType Hover LanguageModelTextPart LanguageModelToolResult MarkdownString McpStdioServerDefinition Position ProgressLocation Range StatusBarAlignment Task ThemeColor ThemeIcon TreeItem TreeItemCollapsibleState Uri ViewColumn WorkspaceEdit commands env extensions l10n languages lm tasks window workspace';
(globalThis as unknown as { vscode: unknown }).vscode = Object.fromEntries(
  NAMES.split(' ').map(name => [name, vscode[name] ?? anything()]),
);
registerHooks({
  resolve: (name, context, next) =>
    name === 'vscode' ? { url: 'test:vscode', shortCircuit: true } : next(name, context),
  load: (url, context, next) =>
    url === 'test:vscode'
      ? { format: 'module', shortCircuit: true, source: `export const { ${NAMES.replaceAll(' ', ', ')} } = vscode;` }
      : next(url, context),
});

// Whatever a program asks of the network, by http, fetch or a WebSocket, goes through here; and so does whatever it starts.
Socket.prototype.connect = function connect(...given: unknown[]): Socket {
  calls.push(`connect ${JSON.stringify(given[0])}`);
  return this;
};
(ChildProcess.prototype as unknown as { spawn: unknown }).spawn = (options: { readonly file?: string }) => {
  calls.push(`spawn ${options.file}`);
  return 0;
};

const cluster = { id: 'https://ci.example.com', label: 'acme/ci', urls: ['https://ci.example.com'] };
const known: Record<string, unknown> = { clusters: [cluster], active: cluster.id };
const context = new Proxy(anything() as object, {
  get: (target, name) => {
    if (name === 'workspaceState') return memento;
    if (name === 'globalState') return { ...memento, get: (key: string, other: unknown) => known[key] ?? other };
    if (name === 'subscriptions') return [];
    if (name === 'extension') return { packageJSON: { version: '0.0.0' } };
    return Reflect.get(target, name);
  },
});

const processorBefore = process.cpuUsage();
const started = performance.now();
const extension = (await import(pathToFileURL(bundle).href)) as { activate(context: unknown): void };
const loaded = performance.now();
extension.activate(context);
const { user, system } = process.cpuUsage(processorBefore);
const took = { loadMs: loaded - started, activateMs: performance.now() - loaded, processorMs: (user + system) / 1000 };
process.on('exit', () => console.log(JSON.stringify({ ...took, calls })));
