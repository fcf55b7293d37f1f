import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, utimesSync, writeFileSync } from 'node:fs';
import * as vscode from 'vscode';
import { ClusterTool } from '../../../extension/agent-tools.ts';
import { systemClock } from '../../../extension/clock.ts';
import type { ClusterStore } from '../../../extension/cluster-store.ts';
import type { Clusters } from '../../../extension/clusters.ts';
import { CommandGuard } from '../../../extension/command-guard.ts';
import { ConnectCommands } from '../../../extension/connect-commands.ts';
import { EventSource } from '../../../extension/event-source.ts';
import { LogPage } from '../../../extension/log-page.ts';
import { McpServers } from '../../../extension/mcp-servers.ts';
import { nodeChildren, nodeRows } from '../../../extension/node-rows.ts';
import { NoAnswer } from '../../../extension/no-answer.ts';
import type { Row } from '../../../extension/row.ts';
import { RowTree } from '../../../extension/row-tree.ts';
import { RunCommands } from '../../../extension/run-commands.ts';
import type { Submitted } from '../../../extension/submit-workspace.ts';
import { TaskProblems } from '../../../extension/task-problems.ts';
import { WorkspaceBranches } from '../../../extension/workspace-branches.ts';
import { WorkspaceEdits } from '../../../extension/workspace-edits.ts';
import type { TaskSummary } from '../../../shared/api.ts';
import { CiError } from '../../../shared/errors.ts';

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
    assert.deepEqual(tasks.map(({ name }) => name).sort(), [
      'absolute',
      'break',
      'dependent',
      'fails',
      'keep',
      'never',
    ]);
    const codes = [await runTask(named(tasks, 'keep')), await runTask(named(tasks, 'break'))];
    assert.deepEqual(codes, [0, 1]);
  },

  'what a compiler says in a log is among the problems, where the line is now': async () => {
    const file = vscode.Uri.joinPath(workspace(), 'main.c');
    const problems = await eventually('the problem is there', () => {
      const found = vscode.languages.getDiagnostics(file);
      return found.length > 0 ? found : undefined;
    });
    const problem = problems.find(({ message }) => message === 'odd number');
    assert.deepEqual(
      [problem?.message, problem?.range.start.line, problem?.severity, problem?.source],
      ['odd number', 1, vscode.DiagnosticSeverity.Warning, 'Simple CI: break (gcc)'],
    );
  },

  'a problem matcher that expects absolute paths finds the files of the workspace': async () => {
    const tasks = await vscode.tasks.fetchTasks({ type: 'simple-ci' });
    assert.equal(await runTask(named(tasks, 'absolute')), 0);
    const file = vscode.Uri.joinPath(workspace(), 'main.c');
    const problem = await eventually('the problem is there', () =>
      vscode.languages.getDiagnostics(file).find(({ message }) => message === 'by its absolute path'),
    );
    assert.equal(problem.range.start.line, 1);
  },

  'a task that depends on one on the cluster waits for it, and does not run where that has failed': async () => {
    const tasks = await vscode.tasks.fetchTasks({ type: 'simple-ci' });
    using happened = taskEvents();
    await vscode.tasks.executeTask(named(tasks, 'dependent'));
    const inOrder = ['absolute starts', 'absolute ends with 0', 'dependent starts', 'dependent ends with 0'];
    await eventually('both have ended', () => happened.events.length === inOrder.length || undefined);
    assert.deepEqual(happened.events, inOrder);
    happened.events.length = 0;
    void vscode.tasks.executeTask(named(tasks, 'never')).then(undefined, () => undefined);
    await eventually('the first has failed', () => happened.events.includes('fails ends with 1') || undefined);
    // What would have been started by then has been.
    await runTask(named(tasks, 'absolute'));
    assert.deepEqual(happened.events, ['fails starts', 'fails ends with 1', 'absolute starts', 'absolute ends with 0']);
  },

  'a debugger starts once its preLaunchTask has passed on the cluster, and not when that has failed': async () => {
    const debug = vscode.workspace.getConfiguration('debug');
    await debug.update('onTaskErrors', 'abort', vscode.ConfigurationTarget.Global);
    using happened = taskEvents();
    const listening = vscode.debug.onDidStartDebugSession(({ name }) => happened.events.push(`${name} is debugged`));
    const program = vscode.Uri.joinPath(workspace(), 'program.js').fsPath;
    const start = (preLaunchTask: string) => {
      const configuration = { type: 'node', request: 'launch', name: 'program', program, preLaunchTask };
      return vscode.debug.startDebugging(vscode.workspace.workspaceFolders![0], configuration);
    };
    assert.ok(await start('absolute'));
    await eventually('it is debugged', () => happened.events.includes('program is debugged') || undefined);
    assert.deepEqual(happened.events.slice(0, 3), ['absolute starts', 'absolute ends with 0', 'program is debugged']);
    await vscode.debug.stopDebugging();
    happened.events.length = 0;
    assert.ok(!(await start('fails')));
    await eventually('its end is told', () => happened.events.includes('fails ends with 1') || undefined);
    assert.ok(!happened.events.includes('program is debugged'));
    listening.dispose();
    await debug.update('onTaskErrors', undefined, vscode.ConfigurationTarget.Global);
  },

  'in a workspace that is not trusted a language model can ask how tasks stand, and starts nothing': async () => {
    const task = { id: 'a', name: 'build', state: 'finished', outcome: 'passed', submitter: 'me', submitted: 0 };
    const answers: Record<string, unknown> = { listTasks: { tasks: [task] }, listNodes: { nodes: [] } };
    const client = {
      call: async (name: string) => answers[name],
      [Symbol.asyncDispose]: async () => undefined,
    };
    const options = {
      clusters: {
        ready: async () => undefined,
        connection: { connection: { kind: 'none' }, reach: async () => undefined, client: async () => client },
      } as unknown as Clusters,
      running: { submit: async () => assert.fail('nothing is submitted') } as unknown as RunCommands,
      findProgram: async () => assert.fail('nothing is started'),
      clock: systemClock,
      mayStart: () => false,
    };
    const use = (name: 'run' | 'status', input: object) =>
      new ClusterTool(name, options).invoke(
        { input, toolInvocationToken: undefined },
        new vscode.CancellationTokenSource().token,
      );
    const { content } = await use('status', {});
    assert.match((content[0] as vscode.LanguageModelTextPart).value, /- a build: passed/);
    await assert.rejects(use('run', { command: 'make' }), /the user does not trust this workspace/);
  },

  'what is edited while files are sent counts for where the problems of the run are': async () => {
    const sent = vscode.Uri.joinPath(workspace(), 'sent');
    const say = (event: object) => `console.log(${JSON.stringify(JSON.stringify(event))});`;
    const ends = say({ event: 'submitted', id: 'a', name: 'slow' });
    const script = `${say({ event: 'sending', bytes: 1 })} const look = () => require('node:fs').existsSync(${JSON.stringify(sent.fsPath)})
      ? (() => { ${ends} })() : setTimeout(look, 20); look();`;
    const submitted = Promise.withResolvers<WorkspaceEdits>();
    const choice = { id: 'local', label: 'local', urls: ['http://127.0.0.1:1'] };
    const running = new RunCommands({
      clusters: {
        ready: async () => undefined,
        tokenOf: async () => 'sci_any',
        connection: {
          connection: { kind: 'connecting', choice },
          reach: async () => undefined,
          urlsOf: () => choice.urls,
        },
      } as unknown as Clusters,
      findProgram: async () => ({
        command: process.execPath,
        args: ['-e', script],
        env: { ...process.env, ELECTRON_RUN_AS_NODE: '1' },
      }),
      onSubmitted: (_: unknown, edits: WorkspaceEdits) => submitted.resolve(edits),
      note: () => undefined,
    } as unknown as ConstructorParameters<typeof RunCommands>[0]);
    const document = await vscode.workspace.openTextDocument(vscode.Uri.joinPath(workspace(), 'main.c'));
    const insert = async (text: string) => {
      const edit = new vscode.WorkspaceEdit();
      edit.insert(document.uri, new vscode.Position(0, 0), text);
      assert.ok(await vscode.workspace.applyEdit(edit));
    };
    await insert('// before\n');
    const isSending = Promise.withResolvers<void>();
    const manner = {
      say: (text: string) => {
        if (text.startsWith('sending')) isSending.resolve();
      },
      signal: AbortSignal.timeout(60_000),
      savesAll: false,
    };
    const run = running.submit({ folder: workspace(), task: { kind: 'named', name: 'slow' } }, manner);
    await isSending.promise;
    await insert('// one\n// two\n');
    await vscode.workspace.fs.writeFile(sent, new Uint8Array());
    await run;
    const edits = await submitted.promise;
    assert.equal(edits.placeNow(document.uri, { line: 2, character: 0 })?.line, 4);
    edits.dispose();
    await vscode.workspace.fs.delete(sent);
    await vscode.window.showTextDocument(document);
    await vscode.commands.executeCommand('workbench.action.files.revert');
  },

  'however many problems an attempt had, those of the next are shown': async () => {
    const encoder = new TextEncoder();
    async function* log() {
      for (const [attempt, text] of [
        [1, 'main.c:1:1: warning: one of many\n'.repeat(1001)],
        [2, 'main.c:1:1: warning: of the second attempt\n'],
      ] as const) {
        yield { kind: 'attempt', fence: attempt, attempt, node: 'n1', offset: 0 };
        yield { kind: 'bytes', offset: 0, time: 0, bytes: encoder.encode(text) };
      }
    }
    const client = { log, [Symbol.asyncDispose]: async () => undefined };
    const clusters = { connection: { client: async () => client } } as unknown as Clusters;
    const problems = new TaskProblems(clusters, text => assert.fail(text));
    problems.follow(sentFrom(workspace(), 'twice'), new WorkspaceEdits());
    const file = vscode.Uri.joinPath(workspace(), 'main.c');
    await eventually('those of the second attempt are shown', () => {
      const found = vscode.languages.getDiagnostics(file).filter(({ source }) => source?.includes('twice'));
      return found.map(({ message }) => message).join() === 'of the second attempt' || undefined;
    });
    problems.dispose();
  },

  'a file that a log names is that of the folder which was sent, whatever other folders have': async () => {
    const inner = vscode.Uri.joinPath(workspace(), 'inner');
    const file = vscode.Uri.joinPath(inner, 'main.c');
    await vscode.workspace.fs.writeFile(file, Buffer.from('int main;\n'));
    async function* log() {
      yield { kind: 'attempt', fence: 1, attempt: 1, node: 'n1', offset: 0 };
      yield { kind: 'bytes', offset: 0, time: 0, bytes: Buffer.from('main.c:1:1: warning: in here\n') };
    }
    const client = { log, [Symbol.asyncDispose]: async () => undefined };
    const clusters = { connection: { client: async () => client } } as unknown as Clusters;
    const problems = new TaskProblems(clusters, text => assert.fail(text));
    // Of the same name, in two workspaces: one does not take the place of the other.
    for (const folder of [inner, workspace()]) problems.follow(sentFrom(folder, 'same'), new WorkspaceEdits());
    const shown = (uri: vscode.Uri) =>
      vscode.languages.getDiagnostics(uri).filter(({ source }) => source?.includes('same'));
    await eventually('each file has its own', () =>
      shown(file).length === 1 && shown(vscode.Uri.joinPath(workspace(), 'main.c')).length === 1 ? true : undefined,
    );
    problems.dispose();
    const { page, received } = logPage({}, () => [inner.fsPath]);
    page.show({ task: 'a' });
    received.fire({ type: 'link', link: { kind: 'file', start: 0, end: 1, path: 'main.c', line: 1 } });
    await eventually('its link leads there', () =>
      vscode.window.activeTextEditor?.document.uri.toString() === file.toString() ? true : undefined,
    );
    page.dispose();
    await vscode.commands.executeCommand('workbench.action.closeActiveEditor');
    await vscode.workspace.fs.delete(inner, { recursive: true });
  },

  'a file that go test names without its folder is found where there is no other of its name': async () => {
    const [only, one, other] = ['pkg/deep/only_test.go', 'pkg/twice_test.go', 'twice_test.go'].map(path =>
      vscode.Uri.joinPath(workspace(), path),
    ) as [vscode.Uri, vscode.Uri, vscode.Uri];
    for (const file of [only, one, other]) await vscode.workspace.fs.writeFile(file, Buffer.from('package pkg\n'));
    const said = ['twice_test.go:1: which one', 'only_test.go:1: this one', 'only_test.go:2: again'];
    const text = `--- FAIL: TestX (0.00s)\n${said.map(line => `    ${line}\n`).join('')}FAIL\n`;
    async function* log() {
      yield { kind: 'attempt', fence: 1, attempt: 1, node: 'n1', offset: 0 };
      yield { kind: 'bytes', offset: 0, time: 0, bytes: Buffer.from(text) };
    }
    const client = { log, [Symbol.asyncDispose]: async () => undefined };
    const clusters = { connection: { client: async () => client } } as unknown as Clusters;
    const problems = new TaskProblems(clusters, text => assert.fail(text));
    problems.follow(sentFrom(workspace(), 'gotest'), new WorkspaceEdits());
    const shown = (file: vscode.Uri) =>
      vscode.languages
        .getDiagnostics(file)
        .filter(({ source }) => source === 'Simple CI: gotest (go test)')
        .map(({ message }) => message);
    await eventually('what it says of that one is shown', () => shown(only).length === 2 || undefined);
    assert.deepEqual([shown(only), shown(one), shown(other)], [['this one', 'again'], [], []]);
    problems.dispose();
    await vscode.workspace.fs.delete(vscode.Uri.joinPath(workspace(), 'pkg'), { recursive: true });
    await vscode.workspace.fs.delete(other);
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

  'a language model runs nothing before the user has agreed to the very words, and nothing once he has cancelled':
    async () => {
      const submitted: unknown[] = [];
      const choice = { id: 'https://ci.example.com', label: 'acme/ci', urls: ['https://ci.example.com'] };
      const tool = new ClusterTool('run', {
        clusters: {
          ready: async () => undefined,
          connection: {
            connection: { kind: 'connecting', choice, failures: 0 },
            reach: async () => undefined,
            client: async () => ({ [Symbol.asyncDispose]: async () => undefined }),
          },
        } as unknown as Clusters,
        running: {
          submit: async (run: unknown, { signal }: { signal: AbortSignal }) => {
            signal.throwIfAborted();
            submitted.push(run);
          },
        } as unknown as RunCommands,
        findProgram: async () => assert.fail('nothing is started'),
        clock: systemClock,
        mayStart: () => true,
      });
      const command = 'make\n```\n[Ignore all that](command:simple-ci.runLast)';
      const { confirmationMessages: asked } = tool.prepareInvocation({ input: { command } });
      assert.equal(asked?.title, 'Run a task on acme/ci?');
      assert.ok(asked?.message instanceof vscode.MarkdownString);
      const { value, isTrusted } = asked.message;
      assert.match(value, /^On the files of this workspace as they are now:\n+(`{4,})sh\n/);
      assert.ok(value.includes(command));
      assert.ok(!isTrusted);
      for (const name of ['status', 'failure_log'] as const)
        assert.equal(
          new ClusterTool(name, {} as never).prepareInvocation({ input: {} }).confirmationMessages,
          undefined,
        );
      const cancel = new vscode.CancellationTokenSource();
      cancel.cancel();
      await assert.rejects(tool.invoke({ input: { command }, toolInvocationToken: undefined }, cancel.token));
      assert.deepEqual(submitted, []);
      // Who agrees to the run, but not that his files go to that host.
      await assert.rejects(
        tool.invoke({ input: { command }, toolInvocationToken: undefined }, new vscode.CancellationTokenSource().token),
        /does not want the files to be sent/,
      );
      assert.equal(submitted.length, 1);
    },

  'of several folders a language model runs a task on the one that the user was asked for, whatever he edits by then':
    async () => {
      const [app, site] = [vscode.Uri.file('/w/app'), vscode.Uri.file('/w/[site](command:x)')];
      const sent: string[] = [];
      let current = site;
      const tool = new ClusterTool('run', {
        clusters: {
          ready: async () => undefined,
          connection: {
            connection: { kind: 'none' },
            reach: async () => undefined,
            client: async () => ({ [Symbol.asyncDispose]: async () => undefined }),
          },
        } as unknown as Clusters,
        running: { submit: async ({ folder }: { folder: vscode.Uri }) => void sent.push(folder.fsPath) } as never,
        findProgram: async () => assert.fail('nothing is started'),
        clock: systemClock,
        mayStart: () => true,
        folders: () => ({ all: [app, site], current }),
      });
      const run = (command: string) =>
        assert.rejects(
          tool.invoke(
            { input: { command }, toolInvocationToken: undefined },
            new vscode.CancellationTokenSource().token,
          ),
          /does not want the files to be sent/,
        );
      const { confirmationMessages: asked } = tool.prepareInvocation({ input: { command: 'make' } });
      const { value } = asked!.message as vscode.MarkdownString;
      const [before, folder, between, command] = value.split(/`{3,}(?:text|sh)?\n/).map(part => part.trim());
      assert.deepEqual(
        [before, folder, between, command],
        ['On the files of this folder as they are now:', site.fsPath, 'this is run:', 'make'],
      );
      current = app;
      await run('make');
      await run('make');
      assert.deepEqual(sent, [site.fsPath, app.fsPath]);
    },

  'a log that is closed while it is being opened is not followed by anybody': async () => {
    const opening = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<void>();
    let followed = 0;
    const client = {
      call: async () => {
        asked.resolve();
        await opening.promise;
        return { id: 'a', state: 'running', node: 'n1', attempt: 1, past: [], task: { name: 'a' } };
      },
      log: () => {
        followed++;
        return [];
      },
      [Symbol.asyncDispose]: async () => undefined,
    };
    const ask = async (_: string, question: (one: unknown, signal: AbortSignal) => unknown) =>
      question(client, AbortSignal.timeout(60_000));
    const want = () => {
      followed++;
      return { [Symbol.dispose]: () => undefined };
    };
    const { page, received } = logPage({ want, client: async () => client, ask });
    page.show({ task: 'a' });
    received.fire({ type: 'ready' });
    await asked.promise;
    page.dispose();
    opening.resolve();
    await new Promise(resolve => setTimeout(resolve, 100));
    assert.equal(followed, 0);
  },

  'a log that no node could be asked for is opened when one can be, and until then the cluster is wanted': async () => {
    const choice = { id: 'test', label: 'test', urls: [] };
    const connectionChanged = new EventSource<{ kind: string }>();
    const happened: string[] = [];
    let wants = 0;
    const want = () => {
      if (wants++ === 0) happened.push('wanted');
      return {
        [Symbol.dispose]: () => {
          if (--wants === 0) happened.push('let go');
        },
      };
    };
    const ask = async () => {
      happened.push('asked');
      throw new NoAnswer('Cannot open the log', choice, 'it is silent');
    };
    const { page, received } = logPage({ connection: { kind: 'connected', choice }, connectionChanged, want, ask });
    page.show({ task: 'a' });
    received.fire({ type: 'ready' });
    await eventually('it has been asked', () => happened.includes('wanted') || undefined);
    connectionChanged.emit({ kind: 'connected' });
    await eventually('it has been asked again', () => happened.length === 3 || undefined);
    await new Promise(resolve => setImmediate(resolve));
    assert.deepEqual(happened, ['asked', 'wanted', 'asked']);
    page.dispose();
    assert.deepEqual(happened, ['asked', 'wanted', 'asked', 'let go']);
  },

  'the branch that is checked out is asked of VS Code’s git extension, and followed': async () => {
    const branches = new WorkspaceBranches();
    let changes = 0;
    branches.changed.on(() => changes++);
    await eventually('it is known', async () => ((await branches.read()).join() === 'topic' ? true : undefined));
    const before = changes;
    execFileSync('git', ['checkout', '-q', '-b', 'other'], { cwd: workspace().fsPath });
    await eventually('the other one is, and that is told', () =>
      branches.names.join() === 'other' && changes > before ? true : undefined,
    );
    branches.dispose();
  },

  'a command that the cluster gives no answer to can be tried again, and then the cluster is tried too': async () => {
    const choice = { id: 'https://ci.example.com', label: 'acme/ci', urls: ['https://ci.example.com'] };
    const happened: string[] = [];
    const answers = ['Try Again', undefined];
    const guard = new CommandGuard({
      log: { failed: () => undefined, show: () => undefined },
      clusters: { tryNow: async () => void happened.push('the cluster is tried') },
      ask: async (text, ...offered) => {
        happened.push(`${text} [${offered.join('] [')}]`);
        return answers.shift();
      },
    });
    await guard.run(async () => {
      happened.push('the command runs');
      throw new NoAnswer('Cannot cancel the task', choice, 'it is silent');
    });
    const told =
      'Cannot cancel the task, as cluster acme/ci gave no answer: it is silent [Try Again] [Switch Cluster] [Show Log]';
    await eventually('it has been told twice', () => happened.length === 5 || undefined);
    assert.deepEqual(happened, ['the command runs', told, 'the cluster is tried', 'the command runs', told]);
    happened.length = 0;
    await guard.run(async () => assert.fail('a mistake'));
    assert.deepEqual(happened, ['a mistake [Show Log]']);
  },

  'a token that the cluster refuses is asked for again, with why, and the address is not': async () => {
    const asked: string[] = [];
    const answers = ['https://ci.example.com', 'sci_wrong', ' sci_right '];
    const tried: string[] = [];
    const clusters = {
      add: async (address: string, token: string) => {
        tried.push(`${address} ${token}`);
        if (token !== 'sci_right') throw new CiError('unauthenticated', 'its token is unknown');
      },
    } as unknown as Clusters;
    const connecting = new ConnectCommands(clusters, {} as ClusterStore, async options => {
      asked.push(`${options?.title}: ${options?.prompt}`);
      return answers.shift();
    });
    await connecting.connect();
    assert.deepEqual(tried, ['https://ci.example.com sci_wrong', 'https://ci.example.com sci_right']);
    assert.deepEqual(asked.slice(1), [
      'Connect to a cluster (2 of 2): A token of the cluster at ci.example.com. It is kept in the secret storage of VS Code',
      'Connect to a cluster (2 of 2): The cluster at ci.example.com refused that token: its token is unknown. Give another one',
    ]);
    // Who gives up is not asked again, and what else goes wrong is told as it is.
    answers.push('https://ci.example.com', 'sci_wrong');
    await connecting.connect();
    answers.push('https://ci.example.com', 'sci_any');
    clusters.add = () => Promise.reject(new CiError('unavailable', 'It is silent'));
    await assert.rejects(connecting.connect(), { message: 'It is silent' });
    assert.deepEqual([answers, asked.length], [[], 8]);
  },

  'a node that is unfolded shows the task that has taken the place of another, and how long each has run': async () => {
    const node = { v: 1, node: 'n1', instance: 'i', address: '', version: '', started: 0, isolation: 'none' };
    const nodes = [{ ...node, slots: 1, labels: [], draining: false }];
    const taskOf = (id: string): TaskSummary => {
      const state = { state: 'running', claimed: 0, node: 'n1', attempt: 1 } as const;
      return { id, name: id, submitter: 'me', submitted: 0, ...state };
    };
    let now = 1000;
    let tasks = [taskOf('a')];
    const childrenNow = ({ label }: Row) => nodeChildren(label, tasks, now);
    const tree = new RowTree({
      roots: () => nodeRows(nodes, tasks),
      childrenOf: async row => childrenNow(row),
      childrenNow,
      tooltipOf: () => undefined,
      commandOf: () => undefined,
    });
    const drawn: (string | undefined)[] = [];
    tree.onDidChangeTreeData(element => drawn.push(element?.id));
    const [root] = await tree.getChildren();
    tree.refresh();
    assert.deepEqual(drawn, []);
    const under = async () => (await tree.getChildren(root)).map(({ row }) => `${row.label}: ${row.description}`);
    assert.deepEqual(await under(), ['a: running · 1.0 s · on n1']);
    now = 3000;
    tree.refresh();
    assert.deepEqual(drawn, ['node:n1/task:a']);
    tasks = [taskOf('b')];
    tree.refresh();
    assert.deepEqual(drawn, ['node:n1/task:a', 'node:n1']);
    assert.deepEqual(await under(), ['b: running · 3.0 s · on n1']);
    tree.refresh();
    assert.equal(drawn.length, 2);
    tree.dispose();
  },

  'the MCP server gets address and token when it is started, and not before': async () => {
    const choice = { id: 'https://ci.example.com', label: 'acme/ci', urls: ['https://ci.example.com'] };
    const servers = new McpServers({
      clusters: {
        ready: async () => undefined,
        tokenOf: async () => 'sci_secret',
        connection: {
          connection: { kind: 'connecting', choice, failures: 0 },
          connectionChanged: new EventSource(),
          reach: async () => undefined,
          urlsOf: () => [...choice.urls, 'https://node2.example.com'],
        },
      } as unknown as Clusters,
      running: { checkConsent: async () => true } as unknown as RunCommands,
      findProgram: async () => ({ command: '/opt/node', args: ['/opt/simple-ci.cjs'], env: {} }),
      version: '1.2.3',
      note: () => undefined,
    });
    const [told] = await servers.provideMcpServerDefinitions();
    assert.deepEqual(
      [told?.label, told?.command, told?.args],
      ['Simple CI (acme/ci)', '/opt/node', ['/opt/simple-ci.cjs', 'mcp', '-C', workspace().fsPath]],
    );
    assert.doesNotMatch(JSON.stringify(told), /sci_secret|ci\.example\.com/);
    const { env } = (await servers.resolveMcpServerDefinition(told!))!;
    const urls = 'https://ci.example.com,https://node2.example.com';
    assert.deepEqual([env.SIMPLE_CI_TOKEN, env.SIMPLE_CI_URL], ['sci_secret', urls]);
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

  'nothing is sent where a file could not be saved: what ran would not be what one sees': async () => {
    const choice = { id: 'local', label: 'local', urls: ['http://127.0.0.1:1'] };
    const running = new RunCommands({
      clusters: {
        ready: async () => undefined,
        connection: { connection: { kind: 'connecting', choice }, reach: async () => undefined },
      } as unknown as Clusters,
      findProgram: async () => assert.fail('nothing is sent'),
    } as unknown as ConstructorParameters<typeof RunCommands>[0]);
    const file = vscode.Uri.joinPath(workspace(), 'conflict.c');
    writeFileSync(file.fsPath, 'one\n');
    const document = await vscode.workspace.openTextDocument(file);
    const editor = await vscode.window.showTextDocument(document);
    await editor.edit(edit => edit.insert(new vscode.Position(0, 0), 'mine\n'));
    // Somebody else has changed it meanwhile.
    writeFileSync(file.fsPath, 'of somebody else\n');
    utimesSync(file.fsPath, new Date(), new Date(Date.now() + 60_000));
    const manner = { say: () => undefined, signal: AbortSignal.timeout(60_000) };
    await assert.rejects(
      running.submit({ folder: workspace(), task: { kind: 'named', name: 'keep' } }, manner),
      /^CiError: Cannot run keep as not all files could be saved: conflict\.c$/,
    );
    await vscode.commands.executeCommand('workbench.action.files.revert');
    await vscode.commands.executeCommand('workbench.action.closeActiveEditor');
    await vscode.workspace.fs.delete(file);
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

  'what simple-ci would say of a task file is among the problems before it is saved, and can be mended': async () => {
    const editor = await openTaskFile('tasks:\n  keep:\n    timout: 3m\n    run: x\n    priority: 12\n');
    const problems = await taskFileProblems(editor.document, 2);
    assert.deepEqual(
      problems.map(({ message, range, severity }) => [message, range.start.line, range.start.character, severity]),
      [
        ['tasks.keep.timout is not known, did you mean "timeout"?', 2, 4, vscode.DiagnosticSeverity.Error],
        ['tasks.keep.priority must be at most 9: 12', 4, 14, vscode.DiagnosticSeverity.Error],
      ],
    );
    const actions = await vscode.commands.executeCommand<vscode.CodeAction[]>(
      'vscode.executeCodeActionProvider',
      editor.document.uri,
      problems[0]!.range,
    );
    const change = actions.find(({ title }) => title === 'Change to “timeout”');
    assert.ok(await vscode.workspace.applyEdit(change!.edit!));
    assert.match(editor.document.getText(), /^ {4}timeout: 3m$/m);
    await taskFileProblems(editor.document, 1);
    await vscode.commands.executeCommand('workbench.action.files.revert');
    await taskFileProblems(editor.document, 0);
  },

  'a task file in YAML is completed and explained without any other extension': async () => {
    const { document } = await openTaskFile('tasks:\n  keep:\n    - shell: \n      run: x\n');
    const words = await completionsAt(document, new vscode.Position(2, 13));
    assert.deepEqual(
      words.filter(word => word === 'bash' || word === 'sh'),
      ['bash', 'sh'],
    );
    const hovers = await vscode.commands.executeCommand<vscode.Hover[]>(
      'vscode.executeHoverProvider',
      document.uri,
      new vscode.Position(2, 8),
    );
    assert.match(
      hovers.map(({ contents }) => contents.map(textOf).join()).join(),
      /both stop at the first failing command/,
    );
    await vscode.commands.executeCommand('workbench.action.files.revert');
  },

  'a task file in JSON is completed by the schema, and what is wrong is told once': async () => {
    const uri = vscode.Uri.joinPath(workspace(), 'other', 'simple-ci.json');
    await vscode.workspace.fs.writeFile(uri, Buffer.from('{\n"tasks": {"a": {\n"run": 3,\n"timout": "3m"\n}}}\n'));
    const document = await vscode.workspace.openTextDocument(uri);
    await vscode.window.showTextDocument(document);
    await eventually('both are told, each once', () => {
      const found = vscode.languages.getDiagnostics(uri).map(({ range, source }) => `${range.start.line} ${source}`);
      return found.includes('3 Simple CI') && found.includes('2 undefined') && found.length === 2 ? true : undefined;
    });
    const words = await eventually('completions of the schema', async () => {
      const found = await completionsAt(document, new vscode.Position(2, 0));
      return found.includes('timeout') ? found : undefined;
    });
    assert.equal(words.filter(word => word === 'timeout').length, 1);
    await vscode.commands.executeCommand('workbench.action.closeActiveEditor');
    await vscode.workspace.fs.delete(uri);
  },
};

/** A task that has been submitted from the folder. */
function sentFrom({ fsPath }: vscode.Uri, name: string): Submitted {
  return { id: 'a', name, root: fsPath, folders: [fsPath], files: 0, bytes: 0, sentBytes: 0 };
}

/** A page without VS Code around it: what it is told by the script in it is what is fired. */
function logPage(connection: object, foldersOf: () => readonly string[] | undefined = () => undefined) {
  const silent = { connectionChanged: new EventSource(), stateChanged: new EventSource(), state: {}, urls: [] };
  const received = new vscode.EventEmitter<unknown>();
  const webview = { onDidReceiveMessage: received.event, asWebviewUri: String, postMessage: async () => true };
  const page = new LogPage(webview as unknown as vscode.Webview, {
    clusters: { ready: async () => undefined, connection: { ...silent, ...connection } } as unknown as Clusters,
    extension: workspace(),
    isInPanel: false,
    foldersOf,
    onTitle: () => undefined,
  });
  return { page, received };
}

function extensionFile(name: string): string {
  return vscode.Uri.joinPath(vscode.extensions.getExtension('simple-ci.simple-ci')!.extensionUri, name).fsPath;
}

function workspace(): vscode.Uri {
  return vscode.workspace.workspaceFolders![0]!.uri;
}

/** The task file of the workspace with this text, not saved. */
async function openTaskFile(text: string): Promise<vscode.TextEditor> {
  const document = await vscode.workspace.openTextDocument(vscode.Uri.joinPath(workspace(), 'simple-ci.yaml'));
  const editor = await vscode.window.showTextDocument(document);
  const whole = new vscode.Range(new vscode.Position(0, 0), document.lineAt(document.lineCount - 1).range.end);
  await editor.edit(edit => edit.replace(whole, text));
  return editor;
}

/** Once there are so many. */
function taskFileProblems({ uri }: vscode.TextDocument, count: number): Promise<readonly vscode.Diagnostic[]> {
  return eventually(`${count} problems`, () => {
    const found = vscode.languages.getDiagnostics(uri);
    return found.length === count ? found : undefined;
  });
}

async function completionsAt({ uri }: vscode.TextDocument, at: vscode.Position): Promise<string[]> {
  const { items } = await vscode.commands.executeCommand<vscode.CompletionList>(
    'vscode.executeCompletionItemProvider',
    uri,
    at,
  );
  return items.map(({ label }) => (typeof label === 'string' ? label : label.label).replaceAll('"', ''));
}

function textOf(content: vscode.MarkdownString | vscode.MarkedString): string {
  return typeof content === 'string' ? content : content.value;
}

function named(tasks: readonly vscode.Task[], name: string): vscode.Task {
  return tasks.find(task => task.name === name)!;
}

/** As an agent in VS Code would, by the names of the manifest. */
async function useTool(name: string, input: object): Promise<string> {
  const { content } = await vscode.lm.invokeTool(`simple-ci_${name}`, { input, toolInvocationToken: undefined });
  return content.map(part => (part instanceof vscode.LanguageModelTextPart ? part.value : '')).join('');
}

/** What becomes of tasks of VS Code, until it is disposed of. */
function taskEvents() {
  const events: string[] = [];
  const listening = [
    vscode.tasks.onDidStartTask(({ execution }) => events.push(`${execution.task.name} starts`)),
    vscode.tasks.onDidEndTaskProcess(({ execution, exitCode }) =>
      events.push(`${execution.task.name} ends with ${exitCode}`),
    ),
  ];
  return {
    events,
    [Symbol.dispose]: () => {
      for (const one of listening) one.dispose();
    },
  };
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
