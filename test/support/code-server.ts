import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { codeServer } from '../../scripts/install-vscode.mjs';
import { freePorts } from './free-ports.ts';

/** Short, as the paths of its sockets must not be longer than 107 bytes. */
const TEMPORARY = '/tmp';
const LISTENS_WITHIN_MS = 60_000;
const ENDS_WITHIN_MS = 10_000;

export function hasVscode(): boolean {
  const hasBrowser = (process.env.PATH ?? '').split(delimiter).some(folder => existsSync(join(folder, 'chromium')));
  return existsSync(codeServer) && hasBrowser;
}

/** Whether the test may go on. Without a VS Code to test in it is skipped, or fails where CI=true. */
export function requireVscode(t: TestContext): boolean {
  if (hasVscode()) return true;
  if (process.env.CI === 'true') throw new Error('VS Code is not installed, and CI=true allows no skipping');
  t.skip('there is no VS Code and browser to test in (node scripts/install-vscode.mjs installs them)');
  return false;
}

export interface CodeServer extends AsyncDisposable {
  readonly url: string;
  /** Where everything of it lies. */
  readonly folder: string;
  /** The folder that is open in it. */
  readonly workspace: string;
  /** The processes of its extension hosts. */
  extensionHosts(): Promise<readonly number[]>;
}

export interface CodeServerOptions {
  /** Files of the workspace. */
  readonly files: Readonly<Record<string, string>>;
  /** Packages of extensions to install. */
  readonly vsix?: readonly string[];
  /** The language that it is set to. Its own texts stay English. */
  readonly language?: string;
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, string>>;
  /** Default: true. */
  readonly isTrusted?: boolean;
  /** Folders of the workspace that are opened beside each other, instead of the workspace itself. */
  readonly folders?: readonly string[];
}

/** A VS Code of its own, as a server for a browser; nothing of the user's is read. */
export async function startCodeServer(options: CodeServerOptions): Promise<CodeServer> {
  const folder = await mkdtemp(join(TEMPORARY, 'sci-vs-'));
  try {
    return await start(folder, options);
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

/** Nothing that changes with the day, asks questions or looks for news. */
const SETTINGS = {
  'telemetry.telemetryLevel': 'off',
  'update.mode': 'none',
  'extensions.autoUpdate': false,
  'extensions.autoCheckUpdates': false,
  'extensions.ignoreRecommendations': true,
  'workbench.startupEditor': 'none',
  'workbench.tips.enabled': false,
  'workbench.enableExperiments': false,
  'workbench.secondarySideBar.defaultVisibility': 'hidden',
  'chat.disableAIFeatures': true,
  'chat.commandCenter.enabled': false,
  'window.restoreWindows': 'none',
  'files.autoSave': 'off',
  // Text of terminals is in the page then.
  'terminal.integrated.gpuAcceleration': 'off',
  'git.enabled': false,
  'git.openRepositoryInParentFolders': 'never',
  'remote.autoForwardPorts': false,
};

async function start(folder: string, options: CodeServerOptions): Promise<CodeServer> {
  const workspace = join(folder, 'my work');
  for (const part of ['data/User', 'data/Machine', 'home', 'tmp', 'my work'])
    await mkdir(join(folder, part), { recursive: true });
  for (const [name, text] of Object.entries(options.files)) {
    await mkdir(join(workspace, name, '..'), { recursive: true });
    await writeFile(join(workspace, name), text);
  }
  const settings = JSON.stringify({
    ...SETTINGS,
    'security.workspace.trust.enabled': options.isTrusted === false,
    'security.workspace.trust.startupPrompt': 'never',
    ...options.settings,
  });
  await writeFile(join(folder, 'data/User/settings.json'), settings);
  // Settings of the machine are read from here only.
  await writeFile(join(folder, 'data/Machine/settings.json'), settings);
  const file = join(folder, 'all.code-workspace');
  const folders = options.folders?.map(name => ({ path: join(workspace, name) }));
  if (folders) await writeFile(file, JSON.stringify({ folders }));
  const opened = folders ? { workspace: file } : { folder: workspace };
  await writeFile(join(folder, 'config.yaml'), '{}\n');
  if (options.language !== undefined) await writeLanguage(folder, options.language);
  for (const vsix of options.vsix ?? []) await install(folder, options, vsix);
  const [port] = await freePorts(1);
  const words = ['--auth', 'none', '--bind-addr', `127.0.0.1:${port}`, '--disable-telemetry', '--disable-update-check'];
  const trust = options.isTrusted === false ? [] : ['--disable-workspace-trust'];
  const language = options.language === undefined ? [] : ['--locale', options.language];
  const more = [
    '--disable-getting-started-override',
    '--ignore-last-opened',
    ...trust,
    ...language,
    folders ? file : workspace,
  ];
  const child = run(folder, options, [...words, ...more]);
  const ended = once(child, 'close');
  const dispose = async () => {
    await end(child, ended);
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    await listening(child, `http://127.0.0.1:${port}/healthz`);
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    url: `http://127.0.0.1:${port}/?${new URLSearchParams(opened)}`,
    folder,
    workspace,
    extensionHosts: async () =>
      (await processesBelow(child.pid!))
        .filter(({ command }) => command.includes('extensionHost'))
        .map(({ pid }) => pid),
    [Symbol.asyncDispose]: dispose,
  };
}

function run(folder: string, { env }: CodeServerOptions, args: readonly string[]): ChildProcess {
  const home = join(folder, 'home');
  const places = ['--config', join(folder, 'config.yaml'), '--extensions-dir', join(folder, 'ext')];
  return spawn(process.execPath, [codeServer, ...places, '--user-data-dir', join(folder, 'data'), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env.PATH ?? '',
      LANG: 'C.UTF-8',
      SHELL: '/bin/sh',
      HOME: home,
      XDG_RUNTIME_DIR: home,
      TMPDIR: join(folder, 'tmp'),
      ...env,
    },
  });
}

/** As if a package for that language were installed, without a single text in it. */
async function writeLanguage(folder: string, language: string): Promise<void> {
  const texts = join(folder, 'data/texts.json');
  await writeFile(texts, JSON.stringify({ version: '1.0.0', contents: {} }));
  const extensions = [{ extensionIdentifier: { id: 'test.language' }, version: '1.0.0' }];
  const pack = { hash: 'test', label: language, extensions, translations: { vscode: texts } };
  await writeFile(join(folder, 'data/languagepacks.json'), JSON.stringify({ [language]: pack }));
}

async function install(folder: string, options: CodeServerOptions, vsix: string): Promise<void> {
  const child = run(folder, options, ['--install-extension', vsix, '--force']);
  const said = keepOutput(child);
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`Installing ${vsix} ended with ${code}:\n${said()}`);
}

async function listening(child: ChildProcess, address: string): Promise<void> {
  const said = keepOutput(child);
  const limit = performance.now() + LISTENS_WITHIN_MS;
  for (;;) {
    if (child.exitCode !== null) throw new Error(`code-server ended with ${child.exitCode}:\n${said()}`);
    if (await isAnswered(address)) return;
    if (performance.now() > limit) throw new Error(`code-server does not answer:\n${said()}`);
    await sleep(50);
  }
}

function isAnswered(address: string): Promise<boolean> {
  return fetch(address).then(
    ({ ok }) => ok,
    () => false,
  );
}

function keepOutput(child: ChildProcess): () => string {
  let text = '';
  const take = (chunk: Buffer) => {
    text = (text + chunk.toString()).slice(-5000);
  };
  child.stdout?.on('data', take);
  child.stderr?.on('data', take);
  return () => text;
}

/** Its processes outlive it unless each is ended: those of its tree, and no others. */
async function end(child: ChildProcess, ended: Promise<unknown>): Promise<void> {
  const tree = child.exitCode === null ? await processesBelow(child.pid!) : [];
  child.kill('SIGTERM');
  const timer = new AbortController();
  await Promise.race([ended, sleep(ENDS_WITHIN_MS, undefined, { signal: timer.signal }).catch(() => undefined)]);
  timer.abort();
  for (const { pid, started } of tree.reverse()) if ((await startOf(pid)) === started) kill(pid);
  child.kill('SIGKILL');
  await ended;
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
}

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
  /** A pid may be given to another process: that one started at another time. */
  readonly started: string;
}

async function processesBelow(root: number): Promise<Process[]> {
  const all = (await Promise.all((await readdir('/proc')).filter(name => /^\d+$/.test(name)).map(readProcess))).flat();
  const below = (pid: number): Process[] => {
    const children = all.filter(({ parent }) => parent === pid);
    return children.flatMap(process => [process, ...below(process.pid)]);
  };
  return below(root);
}

async function readProcess(name: string): Promise<Process[]> {
  try {
    const stat = await readFile(`/proc/${name}/stat`, 'utf8');
    const command = (await readFile(`/proc/${name}/cmdline`, 'utf8')).replaceAll('\0', ' ');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return [{ pid: Number(name), parent: Number(fields[1]), command, started: fields[19] ?? '' }];
  } catch {
    return [];
  }
}

async function startOf(pid: number): Promise<string | undefined> {
  return (await readProcess(String(pid)))[0]?.started;
}
