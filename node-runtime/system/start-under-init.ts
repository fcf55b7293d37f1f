import { accessSync, constants } from 'node:fs';

/**
 * What the first process of a container has to do beside its work: take note of the end of processes whose parents have gone.
 * Node waits for its own children only, so each orphan of a task would stay in the process table until no process can be
 * started any more. A shell waits for all. It passes signals on, and ends as the program does.
 */
const INIT = `
exec 3<&0
"$@" <&3 3<&- &
child=$!
exec 3<&-
for signal in TERM INT HUP; do trap "kill -$signal $child 2>/dev/null" $signal; done
while :; do
  wait "$child"
  code=$?
  kill -0 "$child" 2>/dev/null || exit "$code"
done
`;

const SHELL = '/bin/sh';

/** Makes this process, if it is the first one of a container, a shell that starts `command` and looks after orphans. */
export function startUnderInit(command: readonly string[]): void {
  if (process.pid !== 1 || process.execve === undefined || !isThere(SHELL)) return;
  process.execve(SHELL, ['sh', '-c', INIT, 'simple-ci-init', ...command]);
}

/** Where there is no shell, there are no tasks either. */
function isThere(program: string): boolean {
  try {
    accessSync(program, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
