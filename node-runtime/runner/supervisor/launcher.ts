import { LOWEST_USER } from './user-block.ts';

/**
 * The shell that starts the supervisor and stays as its parent: commands can then neither dump core nor gain privileges, and
 * however the supervisor ends, what it leaves is killed before the channel to the node closes. Arguments: the folder
 * that holds the folders of sandboxes, the same as a pattern, and the supervisor's command line.
 */
const SCRIPT = `
trap '' TERM INT HUP
ulimit -c 0
umask 022
# As root, each task has a user of its own: a fork bomb ends at this many processes.
[ "$(id -u)" = 0 ] && { ulimit -u 8192 || ulimit -p 8192; } 2>/dev/null
folder=$1 pattern=$2
shift 2
if setpriv --no-new-privs true 2>/dev/null; then setpriv --no-new-privs "$@"; else "$@"; fi && exit 0
for sandbox in "$folder"*/; do
  user=$(stat -c %u "$sandbox" 2>/dev/null) || continue
  [ "$user" -ge ${LOWEST_USER} ] && setpriv --reuid "$user" --regid "$user" --clear-groups sh -c 'kill -9 -1'
done
for round in 1 2 3 4 5; do
  found=$(grep -lzE "^(HOME|TMPDIR|SIMPLE_CI_SANDBOX)=$pattern" /proc/[0-9]*/environ 2>/dev/null) || break
  for file in $found; do
    pid=\${file#/proc/}
    kill -9 "\${pid%/environ}" 2>/dev/null
  done
done
exit 1
`;

/** @param folder holds the folders of all sandboxes; with a slash at its end */
export function launch(command: readonly string[], folder: string): [string, ...string[]] {
  const pattern = folder.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return ['/bin/sh', '-c', SCRIPT, 'simple-ci-supervisor', folder, pattern, ...command];
}
