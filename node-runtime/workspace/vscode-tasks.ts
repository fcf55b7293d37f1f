import { CiError } from '../../shared/errors.ts';
import { quote } from '../../shared/ids.ts';
import type { Step } from '../../shared/task.ts';
import type { Workspace } from './find-workspace.ts';
import { parseJsonWithComments } from './json-with-comments.ts';
import { fillIn, relativeFolder, wordOf } from './vscode-variables.ts';
import { nearbyFile, oneLine, type WorkspaceTask } from './workspace-task.ts';

/** As much of VS Code's task format as can run without VS Code. */
interface VscodeTask {
  readonly label?: unknown;
  readonly taskName?: unknown;
  readonly type?: unknown;
  readonly script?: unknown;
  readonly path?: unknown;
  readonly command?: unknown;
  readonly args?: unknown;
  readonly options?: { readonly cwd?: unknown; readonly env?: unknown; readonly shell?: ShellOption };
  readonly detail?: unknown;
  readonly dependsOn?: unknown;
  readonly linux?: Partial<VscodeTask>;
}

interface ShellOption {
  readonly executable?: unknown;
  readonly args?: unknown;
}

const FILE = '.vscode/tasks.json';

/** The tasks of .vscode/tasks.json: types shell, process and npm, with the tasks they depend on as steps before them. */
export async function vscodeTasks(workspace: Workspace): Promise<WorkspaceTask[]> {
  const file = await nearbyFile(workspace, [FILE]);
  if (!file) return [];
  const tasks = parseTasks(file.text, file.path);
  const byLabel = new Map(tasks.map(task => [labelOf(task), task]));
  const root = joinFolders(workspace.root, file.folder);
  return [...byLabel].map(([label, task]) => ({
    name: label,
    from: FILE,
    description: oneLine(String(task.detail ?? commandText(task))),
    body: () => ({ name: label, steps: stepsOf(label, byLabel, { root, folder: file.folder }, []) }),
  }));
}

function parseTasks(text: string, path: string): VscodeTask[] {
  const value = parseJsonWithComments(text, path) as { tasks?: unknown } | null;
  const tasks = Array.isArray(value?.tasks) ? value.tasks : [];
  return tasks.filter((task): task is VscodeTask => typeof task === 'object' && task !== null && isMeant(task));
}

/** Tasks of our own extension are the ones that lead here. */
function isMeant(task: VscodeTask): boolean {
  return labelOf(task) !== '' && task.type !== 'simple-ci';
}

function labelOf(task: VscodeTask): string {
  const label = task.label ?? task.taskName ?? (task.type === 'npm' ? `npm: ${String(task.script)}` : '');
  return typeof label === 'string' ? label : '';
}

function commandText({ type, script, command }: VscodeTask): string {
  if (type === 'npm') return `npm run ${String(script)}`;
  return typeof command === 'string' ? command : '';
}

interface Place {
  /** The folder that VS Code calls the workspace. */
  readonly root: string;
  /** The same, relative to ours. */
  readonly folder: string;
}

function stepsOf(
  label: string,
  tasks: ReadonlyMap<string, VscodeTask>,
  place: Place,
  above: readonly string[],
): Step[] {
  const task = tasks.get(label);
  if (!task) throw cannotRun(above.at(-1) ?? label, `it depends on a task that does not exist: ${quote(label)}`);
  if (above.includes(label)) throw cannotRun(label, 'it depends on itself');
  const { dependsOn } = task;
  const needs = dependsOn === undefined ? [] : Array.isArray(dependsOn) ? dependsOn : [dependsOn];
  const before = needs.flatMap(need => {
    if (typeof need !== 'string') throw cannotRun(label, `it depends on a task of an extension: ${quote(need)}`);
    return stepsOf(need, tasks, place, [...above, label]);
  });
  const isGroup = task.command === undefined && task.type !== 'npm' && before.length > 0;
  return isGroup ? before : [...before, stepOf(label, { ...task, ...task.linux }, place)];
}

function stepOf(label: string, task: VscodeTask, place: Place): Step {
  const { options = {} } = task;
  const cwd = task.type === 'npm' && options.cwd === undefined ? task.path : options.cwd;
  const folder = joinFolders(place.folder, relativeFolder(label, cwd ?? ''));
  const { env, exports } = environmentOf(label, place, options.env);
  const run = exports + commandOf(label, task, place);
  return {
    name: label,
    run,
    ...(Object.keys(env).length > 0 && { env }),
    ...(folder !== '' && { workingDirectory: folder }),
    ...shellOf(label, options.shell),
  };
}

function commandOf(label: string, task: VscodeTask, place: Place): string {
  const { type = 'shell', script, command, args = [] } = task;
  if (type === 'npm' && typeof script === 'string') return `npm run ${wordOf(label, place.root, script, 'exact')}`;
  if (type !== 'shell' && type !== 'process')
    throw cannotRun(label, `its type belongs to an extension of VS Code: ${quote(type)}`);
  if (!Array.isArray(args)) throw cannotRun(label, 'its args are no list');
  if (type === 'shell' && typeof command === 'string' && args.length === 0) return fillIn(label, place.root, command);
  const how = type === 'shell' ? 'shell' : 'exact';
  return [command, ...args].map(word => wordOf(label, place.root, word, how)).join(' ');
}

/** Values that name the workspace are set by the step's own shell: only there is it known. */
function environmentOf(label: string, { root }: Place, env: unknown) {
  const plain: Record<string, string> = {};
  let exports = '';
  for (const [name, value] of Object.entries(env ?? {})) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) throw cannotRun(label, `of a variable's name: ${quote(name)}`);
    if (typeof value !== 'string' || !value.includes('${')) plain[name] = String(value);
    else exports += `export ${name}=${wordOf(label, root, value, 'exact')}\n`;
  }
  return { env: plain, exports };
}

function shellOf(label: string, shell: ShellOption | undefined): Pick<Step, 'shell'> {
  if (shell?.executable === undefined) return {};
  const name = String(shell.executable).replace(/^.*\//, '');
  if (name === 'bash' || name === 'sh') return { shell: name };
  throw cannotRun(label, `its shell is neither bash nor sh: ${quote(shell.executable)}`);
}

function joinFolders(a: string, b: string): string {
  return a === '' || b === '' ? a + b : `${a}/${b}`;
}

function cannotRun(label: string, why: string): CiError {
  return new CiError('invalid', `Cannot run task ${quote(label)} of ${FILE} as ${why}`);
}
