/**
 * The shell that starts the supervisor and stays as its parent: commands can then neither dump core nor gain privileges, carry
 * the node's tag, and however the supervisor ends, they are killed before the channel to the node closes. Where the machine
 * has no programs for that, it is done without.
 */
const SCRIPT = `
trap '' TERM INT HUP
ulimit -c 0
umask 022
# As root, each task has a user of its own: a fork bomb ends at this many processes.
[ "$(id -u)" = 0 ] && { ulimit -u "$2" || ulimit -p "$2"; } 2>/dev/null
tag=$1
shift 2
setpriv --no-new-privs true 2>/dev/null && set -- setpriv --no-new-privs "$@"
prlimit --rttime="$tag:$tag" true 2>/dev/null && set -- prlimit --rttime="$tag:$tag" "$@"
# By a shell of its own, which becomes it: this one would say "Killed" where the redirection leads.
exec 4>&2 2>/dev/null
(exec "$@" 2>&4 4>&-) && exit 0
for round in 1 2 3 4 5; do
  found=$(grep -lsw "$tag" /proc/[0-9]*/limits)
  [ -n "$found" ] || break
  for file in $found; do
    pid=\${file#/proc/}
    kill -9 "\${pid%/limits}" 2>/dev/null
  done
done
exit 1
`;

/** The argument list that starts a supervisor by its own, with a tag that all its tasks inherit. */
export function launch(command: readonly string[], tag: number, mostProcesses: number): [string, ...string[]] {
  return ['/bin/sh', '-c', SCRIPT, 'simple-ci-supervisor', String(tag), String(mostProcesses), ...command];
}
