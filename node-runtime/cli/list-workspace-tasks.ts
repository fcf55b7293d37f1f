import { listTasks } from '../workspace/find-task.ts';
import type { Workspace } from '../workspace/find-workspace.ts';
import type { CliContext } from './context.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { formatTable } from './table.ts';
import { plainText } from './text-width.ts';

/** What there is to run here. */
export async function listWorkspaceTasks(
  { terminal, environment }: CliContext,
  workspace: Workspace,
  json: boolean,
): Promise<ExitCode> {
  const tasks = await listTasks(workspace);
  if (json) terminal.print(JSON.stringify({ workspace: workspace.root, tasks }));
  else if (tasks.length === 0) {
    terminal.say(`There are no tasks in ${workspace.root}. Run any command: ${environment.program} run -- COMMAND`);
  } else {
    const rows = tasks.map(({ name, from, description }) => [plainText(name), from, plainText(description)]);
    const titles = [{ title: 'TASK' }, { title: 'FROM' }, { title: 'WHAT', flexible: true }] as const;
    for (const line of formatTable(titles, rows, terminal.columns, terminal.style)) terminal.print(line);
    terminal.say(`Run one: ${environment.program} run NAME`);
  }
  return EXIT.passed;
}
