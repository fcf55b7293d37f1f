import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import * as vscode from 'vscode';
import type { Clusters } from '../../../extension/clusters.ts';
import { EventSource } from '../../../extension/event-source.ts';
import { McpServers } from '../../../extension/mcp-servers.ts';
import type { RunCommands } from '../../../extension/run-commands.ts';

/** What is tested inside the extension host, where the API of VS Code is. The names are sentences about the product. */
export const suite: Readonly<Record<string, () => Promise<void>>> = {
  'the extension is activated by a workspace with a task file': async () => {
    await eventually(
      'it is active',
      () => vscode.extensions.getExtension('simple-ci.simple-ci')?.isActive || undefined,
    );
  },

  'every command of the manifest is there': async () => {
    const manifest = JSON.parse(readFileSync(extensionFile('package.json'), 'utf8'));
    const known = await vscode.commands.getCommands(true);
    const declared = manifest.contributes.commands.map(({ command }: { command: string }) => command);
    assert.deepEqual(
      declared.filter((command: string) => !known.includes(command)),
      [],
    );
  },

  'tasks of the task file are tasks of VS Code, and end with the exit codes of simple-ci': async () => {
    await vscode.commands.executeCommand('simple-ci.startLocalNode');
    const tasks = await vscode.tasks.fetchTasks({ type: 'simple-ci' });
    assert.deepEqual(tasks.map(({ name }) => name).sort(), ['break', 'keep']);
    const codes = [await runTask(named(tasks, 'keep')), await runTask(named(tasks, 'break'))];
    assert.deepEqual(codes, [0, 1]);
  },

  'what a compiler says in a log is among the problems, where the line is now': async () => {
    const file = vscode.Uri.joinPath(workspace(), 'main.c');
    const problems = await eventually('the problem is there', () => {
      const found = vscode.languages.getDiagnostics(file);
      return found.length > 0 ? found : undefined;
    });
    const [problem] = problems;
    assert.deepEqual(
      [problem?.message, problem?.range.start.line, problem?.severity, problem?.source],
      ['odd number', 1, vscode.DiagnosticSeverity.Warning, 'Simple CI: break (gcc)'],
    );
  },

  'problem matchers of tasks.json, of the settings and of other extensions find problems in the log': async () => {
    const rule = {
      base: '$tsc',
      owner: 'rule',
      pattern: { regexp: '^RULE (\\S+) (\\d+) (.*)$', file: 1, line: 2, message: 3 },
    };
    const settings = vscode.workspace.getConfiguration('simple-ci');
    await settings.update('problemMatchers', [rule], vscode.ConfigurationTarget.Global);
    await vscode.commands.executeCommand('simple-ci.runNamedTask', {
      folder: workspace(),
      task: { kind: 'named', name: 'lint' },
    });
    const file = vscode.Uri.joinPath(workspace(), 'main.c');
    const found = await eventually('all three are there', () => {
      const problems = vscode.languages
        .getDiagnostics(file)
        .filter(({ source }) => /Simple CI: lint/.test(source ?? ''));
      return problems.length === 3 ? problems : undefined;
    });
    assert.deepEqual(found.map(({ message, source, range }) => `${range.start.line} ${message} ${source}`).sort(), [
      '0 too odd Simple CI: lint (lint)',
      '1 as tsc would Simple CI: lint (tsc)',
      '2 last Simple CI: lint (ts)',
    ]);
    await settings.update('problemMatchers', undefined, vscode.ConfigurationTarget.Global);
  },

  'language models can run a task once the user agrees, ask how it went, and read why it failed': async () => {
    assert.match(await useTool('status', {}), /^Tasks that this workspace has: keep, break/);
    const ran = await useTool('run', { task: 'break', wait: 120 });
    assert.match(ran, /^Task break \(id \w+\) failed on .+ It exited with code 5/);
    assert.match(ran, /\nmain\.c:2:5: warning: odd number\n/);
    const [, id] = /\(id (\w+)\)/.exec(ran) ?? [];
    assert.match(await useTool('failure_log', { id, lines: 1 }), /printed:\nmain\.c:2:5: warning: odd number$/);
    await assert.rejects(useTool('status', { id: 'none' }), /id/);
  },

  'the MCP server gets address and token when it is started, and not before': async () => {
    const choice = { id: 'https://ci.example.com', label: 'acme/ci', urls: ['https://ci.example.com'] };
    const servers = new McpServers({
      clusters: {
        ready: async () => undefined,
        tokenOf: async () => 'sci_secret',
        connection: { connection: { kind: 'connecting', choice, failures: 0 }, connectionChanged: new EventSource() },
      } as unknown as Clusters,
      running: { checkConsent: async () => true } as unknown as RunCommands,
      findProgram: async () => ({ command: '/opt/node', args: ['/opt/simple-ci.cjs'], env: {} }),
      version: '1.2.3',
    });
    const [told] = await servers.provideMcpServerDefinitions();
    assert.deepEqual(
      [told?.label, told?.command, told?.args],
      ['Simple CI (acme/ci)', '/opt/node', ['/opt/simple-ci.cjs', 'mcp', '-C', workspace().fsPath]],
    );
    assert.doesNotMatch(JSON.stringify(told), /sci_secret|ci\.example\.com/);
    const { env } = (await servers.resolveMcpServerDefinition(told!))!;
    assert.deepEqual([env.SIMPLE_CI_TOKEN, env.SIMPLE_CI_URL], ['sci_secret', 'https://ci.example.com']);
    servers.dispose();
  },

  'a document that is not saved is saved before its folder is sent': async () => {
    const document = await vscode.workspace.openTextDocument(vscode.Uri.joinPath(workspace(), 'main.c'));
    const editor = await vscode.window.showTextDocument(document);
    await editor.edit(edit => edit.insert(new vscode.Position(0, 0), '// edited\n'));
    assert.ok(document.isDirty);
    await vscode.commands.executeCommand('simple-ci.runNamedTask', {
      folder: workspace(),
      task: { kind: 'named', name: 'keep' },
    });
    assert.ok(!document.isDirty);
  },

  'what a task kept is a file that can be read and not written': async () => {
    await vscode.commands.executeCommand('simple-ci.copyTaskId');
    const id = await vscode.env.clipboard.readText();
    const artifact = vscode.Uri.from({ scheme: 'simple-ci-artifact', path: `/${id}/kept.txt` });
    await eventually('the task has ended', () => isThere(artifact));
    assert.equal(Buffer.from(await vscode.workspace.fs.readFile(artifact)).toString(), 'kept\n');
    await assert.rejects(Promise.resolve(vscode.workspace.fs.writeFile(artifact, new Uint8Array())));
    await assert.rejects(
      Promise.resolve(vscode.workspace.fs.stat(artifact.with({ path: `/${id}/none` }))),
      /FileNotFound|EntryNotFound|none/,
    );
  },
};

function extensionFile(name: string): string {
  return vscode.Uri.joinPath(vscode.extensions.getExtension('simple-ci.simple-ci')!.extensionUri, name).fsPath;
}

function workspace(): vscode.Uri {
  return vscode.workspace.workspaceFolders![0]!.uri;
}

function named(tasks: readonly vscode.Task[], name: string): vscode.Task {
  return tasks.find(task => task.name === name)!;
}

/** As an agent in VS Code would, by the names of the manifest. */
async function useTool(name: string, input: object): Promise<string> {
  const { content } = await vscode.lm.invokeTool(`simple-ci_${name}`, { input, toolInvocationToken: undefined });
  return content.map(part => (part instanceof vscode.LanguageModelTextPart ? part.value : '')).join('');
}

/** Resolves with the exit code. */
async function runTask(task: vscode.Task): Promise<number | undefined> {
  const ended = new Promise<number | undefined>(resolve => {
    const listening = vscode.tasks.onDidEndTaskProcess(({ execution, exitCode }) => {
      if (execution.task.name !== task.name) return;
      listening.dispose();
      resolve(exitCode);
    });
  });
  await vscode.tasks.executeTask(task);
  return ended;
}

async function isThere(uri: vscode.Uri): Promise<true | undefined> {
  try {
    await vscode.workspace.fs.stat(uri);
    return true;
  } catch {
    return undefined;
  }
}

async function eventually<T>(what: string, look: () => Promise<T | undefined> | T | undefined): Promise<T> {
  const limit = performance.now() + 60_000;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    assert.ok(performance.now() < limit, `in vain: ${what}`);
    await new Promise(resolve => setTimeout(resolve, 50));
  }
}
