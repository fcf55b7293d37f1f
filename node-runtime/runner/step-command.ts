import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Step, TaskRecord } from '../../shared/task.ts';
import type { Command, Sandbox, SandboxSystem } from './sandbox.ts';

/** Where the scripts of steps lie within the sandbox's home folder. */
const SCRIPTS = '.simple-ci';

/**
 * Writes the scripts of those steps whose shell wants a file. Before anything of the task has run: later, a folder could be a
 * link that the task has put there.
 */
export async function writeScripts(sandbox: Sandbox, steps: readonly Step[]): Promise<void> {
  const wanted = [...steps.entries()].filter(([, step]) => Array.isArray(step.shell));
  if (wanted.length === 0) return;
  const folder = join(sandbox.folders.home, SCRIPTS);
  await mkdir(folder);
  for (const [at, step] of wanted) await writeFile(join(folder, scriptName(at)), step.run, { mode: 0o755 });
  await sandbox.adopt(folder);
}

/**
 * The command of a step. A shell gets the script as one argument, so a step's text reaches it byte for byte; a shell given as
 * an argument list gets the path of its script added.
 */
export function stepCommand(
  sandbox: Sandbox,
  system: SandboxSystem,
  task: TaskRecord,
  step: Step,
  at: number,
  env: Readonly<Record<string, string>>,
): Command {
  const cwd = join(sandbox.inside.workspace, workingDirectoryOf(task, step));
  return { argv: argvOf(sandbox, system, step, at), cwd, env };
}

/** Within the workspace. */
export function workingDirectoryOf(task: TaskRecord, step: Step): string {
  return step.workingDirectory ?? task.workingDirectory ?? '.';
}

function argvOf(sandbox: Sandbox, { hasBash }: SandboxSystem, step: Step, at: number): Command['argv'] {
  if (Array.isArray(step.shell)) {
    const [program = 'sh', ...rest] = step.shell;
    return [program, ...rest, join(sandbox.inside.home, SCRIPTS, scriptName(at))];
  }
  const shell = step.shell ?? (hasBash ? 'bash' : 'sh');
  return shell === 'bash'
    ? ['bash', '--noprofile', '--norc', '-eo', 'pipefail', '-c', step.run]
    : // By its path: every system has it there, whatever PATH a task has.
      ['/bin/sh', '-e', '-c', step.run];
}

function scriptName(at: number): string {
  return `step-${at + 1}`;
}
