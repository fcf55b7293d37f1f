import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import * as vscode from 'vscode';

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
