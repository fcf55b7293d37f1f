import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { CiError } from '../../shared/errors.ts';
import { newTaskId, quote } from '../../shared/ids.ts';
import { DEFAULT_PRIORITY } from '../../shared/task.ts';
import type { ConnectionOptions } from './common-options.ts';
import { connect } from './connect.ts';
import type { CliContext } from './context.ts';
import type { ExitCode } from './exit-codes.ts';
import { readTaskSpec } from './read-task-spec.ts';
import { submitAndFollow, workFor } from './submit-and-follow.ts';

type Options = ConnectionOptions & {
  readonly follow: boolean;
  readonly timestamps: boolean;
  readonly json: boolean;
};

export async function submitFile(context: CliContext, file: string, options: Options): Promise<ExitCode> {
  const { clock, chance } = context;
  const task = readTaskSpec(await readText(context, file), file === '-' ? 'standard input' : file);
  const id = newTaskId(task.priority ?? DEFAULT_PRIORITY, clock.now(), () => chance.random());
  await using connection = await connect(context, options, workFor(id, task));
  // Nobody else would run it there.
  const detach = !options.follow && !connection.isEmbedded;
  return await submitAndFollow(context, connection, {
    id,
    task,
    detach,
    json: options.json,
    timestamps: options.timestamps,
  });
}

async function readText({ terminal, environment, signal }: CliContext, file: string): Promise<string> {
  if (file === '-') return terminal.readInput(signal);
  try {
    return await readFile(resolve(environment.folder, file), 'utf8');
  } catch (error) {
    throw new CiError('invalid', `Cannot submit task as its file cannot be read: ${quote(file)}`, { cause: error });
  }
}
