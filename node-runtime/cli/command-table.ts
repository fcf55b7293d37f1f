import type { Command } from './command.ts';
import { artifacts } from './commands/artifacts.ts';
import { cancel } from './commands/cancel.ts';
import { completion } from './commands/completion.ts';
import { demand } from './commands/demand.ts';
import { doctor } from './commands/doctor.ts';
import { help } from './commands/help.ts';
import { login } from './commands/login.ts';
import { logs } from './commands/logs.ts';
import { mcp } from './commands/mcp.ts';
import { metricsAdapter } from './commands/metrics-adapter.ts';
import { node } from './commands/node.ts';
import { nodes } from './commands/nodes.ts';
import { retry } from './commands/retry.ts';
import { run } from './commands/run.ts';
import { secretDelete } from './commands/secret-delete.ts';
import { secretList } from './commands/secret-list.ts';
import { secretSet } from './commands/secret-set.ts';
import { submit } from './commands/submit.ts';
import { task } from './commands/task.ts';
import { tasks } from './commands/tasks.ts';
import { top } from './commands/top.ts';
import { tokenCreate } from './commands/token-create.ts';
import { tokenList } from './commands/token-list.ts';
import { tokenRevoke } from './commands/token-revoke.ts';
import { version } from './commands/version.ts';

/** In the order in which help shows them. */
export const COMMANDS: readonly Command[] = [
  run,
  submit,
  tasks,
  task,
  logs,
  artifacts,
  cancel,
  retry,
  mcp,
  node,
  nodes,
  top,
  demand,
  login,
  tokenCreate,
  tokenList,
  tokenRevoke,
  secretSet,
  secretList,
  secretDelete,
  metricsAdapter,
  doctor,
  completion,
  version,
  help,
];
