import { CiError } from '../../shared/errors.ts';
import { quote } from '../../shared/ids.ts';
import type { TaskBody } from '../../shared/task.ts';
import type { OptionTable } from './command.ts';
import type { Environment } from './environment.ts';

/** What `run` lets one say about a task besides what its file says. */
export const taskOptions = {
  env: { kind: 'list', short: 'e', value: 'NAME=VALUE', summary: 'Variable of the task; a NAME alone takes yours' },
  timeout: { kind: 'duration', value: 'TIME', summary: 'For all of it, such as 90s or 10m' },
  'idle-timeout': { kind: 'duration', value: 'TIME', summary: 'Longest silence' },
  priority: {
    kind: 'number',
    value: 'N',
    summary: '0 is the most urgent, 5 normal, 9 the least urgent',
    min: 0,
    max: 9,
  },
  label: { kind: 'list', short: 'l', value: 'LABEL', summary: 'Only on nodes with it' },
  slots: { kind: 'number', value: 'N', summary: 'How many of a node’s slots it takes', min: 1, max: 1000 },
  artifact: { kind: 'list', short: 'a', value: 'PATTERN', summary: 'Files to keep, with * ** ? and [ ]' },
  secret: { kind: 'list', value: 'NAME', summary: 'Secret of the cluster that it gets as a variable' },
} as const satisfies OptionTable;

export interface TaskOptions {
  readonly env: readonly string[];
  readonly timeout: number | undefined;
  readonly 'idle-timeout': number | undefined;
  readonly priority: number | undefined;
  readonly label: readonly string[];
  readonly slots: number | undefined;
  readonly artifact: readonly string[];
  readonly secret: readonly string[];
}

/** The task with what was said on the command line: single values replace its own, lists are added. */
export function withOptions<Task extends TaskBody>(
  task: Task,
  options: TaskOptions,
  variables: Environment['variables'],
): Task {
  const { timeout, 'idle-timeout': idleTimeout, priority, slots } = options;
  const env = { ...task.env, ...readVariables(options.env, variables) };
  const labels = [...(task.labels ?? []), ...options.label];
  const artifacts = [...(task.artifacts ?? []), ...options.artifact];
  const secrets = [...(task.secrets ?? []), ...options.secret];
  return {
    ...task,
    ...(Object.keys(env).length > 0 && { env }),
    ...(timeout !== undefined && { timeout: timeout / 1000 }),
    ...(idleTimeout !== undefined && { idleTimeout: idleTimeout / 1000 }),
    ...(priority !== undefined && { priority }),
    ...(slots !== undefined && { slots }),
    ...(labels.length > 0 && { labels: [...new Set(labels)] }),
    ...(artifacts.length > 0 && { artifacts: [...new Set(artifacts)] }),
    ...(secrets.length > 0 && { secrets: [...new Set(secrets)] }),
  };
}

function readVariables(words: readonly string[], variables: Environment['variables']): Record<string, string> {
  return Object.fromEntries(
    words.map(word => {
      const equals = word.indexOf('=');
      const name = equals < 0 ? word : word.slice(0, equals);
      const value = equals < 0 ? variables[word] : word.slice(equals + 1);
      if (name !== '' && value !== undefined) return [name, value];
      throw new CiError(
        'invalid',
        `Cannot use --env as it is not like NAME=VALUE, nor a variable of yours: ${quote(word)}`,
      );
    }),
  );
}
