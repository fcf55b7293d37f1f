// What a hostile task tries, and with which isolation it gets it. The test of hostile tasks makes each of these moves for real;
// scripts/reference.ts writes the table of SECURITY.md from it.
import {
  breaksFreeze,
  changesMachine,
  fillsMachine,
  fillsStore,
  floodsNode,
  keepsLinkedFiles,
  keepsSwappedFiles,
  leavesFiles,
  multiplies,
  readsRoleDespiteRule,
  removesLinkedFiles,
  survives,
} from './hostile-attempts.ts';
import type { Stage } from './hostile-stage.ts';
import { READ_ROLE } from './metadata-stand-in.ts';

/** Isolations, and whether the node runs as root, where that makes a difference. */
export const SETTINGS = {
  'bubblewrap, root': '`bubblewrap`',
  bubblewrap: '`bubblewrap`, node not root',
  'user, root': '`user`',
  'none, root': '`none`, node is root',
  none: '`none`',
} as const;
export type Setting = keyof typeof SETTINGS;

export type Move = {
  readonly what: string;
  /** Where it works. Whatever else works is a hole. */
  readonly succeeds: readonly Setting[];
  /** Whether it can be tried here at all. */
  readonly isPossible?: (stage: Stage) => boolean;
} & (
  | {
      /**
       * Prints `taken` or a secret when it works. It has $NODE, $SUPERVISOR and $VICTIM, pids of this machine; $DATA and $OTHER, the
       * folders of the node and of another task; $API, the port of the node; and $SETUID, a program that root lets run as root.
       */
      readonly script: string;
    }
  | { readonly attempt: (stage: Stage) => Promise<boolean> }
);

const NOWHERE: readonly Setting[] = [];
const WITHOUT: readonly Setting[] = ['none, root', 'none'];
const WITHOUT_AS_ROOT: readonly Setting[] = ['none, root'];
const OUTSIDE_BUBBLEWRAP: readonly Setting[] = ['user, root', ...WITHOUT];
const SHARED_USER: readonly Setting[] = ['bubblewrap', ...WITHOUT];
const EVERYWHERE: readonly Setting[] = ['bubblewrap, root', 'bubblewrap', 'user, root', ...WITHOUT];

/** Sends a request to the node's API, and says `status N` of the answer. */
const ask = (head: string, after: string) => `perl -MIO::Socket::INET -e '
  my $socket = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $ENV{API}, Timeout => 30) or exit;
  print $socket "${head} HTTP/1.1\\r\\nHost: 127.0.0.1:$ENV{API}\\r\\nConnection: close\\r\\n${after}\\r\\n";
  print "status $1\\n" if <$socket> =~ / (\\d{3}) /;
'`;

export const MOVES: readonly Move[] = [
  {
    what: 'Read the environment of the node',
    succeeds: WITHOUT,
    script: "tr '\\0' '\\n' < /proc/$NODE/environ",
  },
  {
    what: 'Read the command line of the node',
    succeeds: OUTSIDE_BUBBLEWRAP,
    script: "tr '\\0' '\\n' < /proc/$NODE/cmdline",
  },
  {
    what: 'Read the memory of the node',
    succeeds: WITHOUT,
    script: `perl -e '
      open my $maps, "<", "/proc/$ENV{NODE}/maps" or exit;
      open my $memory, "<:raw", "/proc/$ENV{NODE}/mem" or exit;
      while (<$maps>) {
        my ($from, $to) = map { hex } /^([0-9a-f]+)-([0-9a-f]+) rw/ or next;
        next if $to - $from > 256 << 20 or !sysseek $memory, $from, 0;
        sysread $memory, my $bytes, $to - $from or next;
        print "$1\\n" while $bytes =~ /in memory: (CANARY-[0-9a-f]{16})/g;
      }'`,
  },
  {
    what: 'Debug the node',
    succeeds: WITHOUT,
    // ptrace(PTRACE_SEIZE), which does not stop it, and ends with us.
    script: `perl -e '
      my $call = { x86_64 => 101, aarch64 => 117 }->{(split " ", qx(uname -m))[0]} or exit;
      print "taken\\n" if syscall($call, 0x4206, $ENV{NODE} + 0, 0, 0) == 0'`,
  },
  {
    what: 'Read a file with credentials of the node',
    succeeds: WITHOUT,
    script: 'cat $DATA/token',
  },
  {
    what: 'Read files that the node has open',
    succeeds: WITHOUT,
    script: 'for file in /proc/$NODE/fd/*; do [ -f $file ] && head -c 4096 $file; done',
  },
  {
    what: 'Use files that whoever started the node left open',
    succeeds: NOWHERE,
    script: `perl -e '
      for (3 .. 40) { open my $file, "<&=", $_ or next; sysseek $file, 0, 0; sysread $file, my $text, 4096; print $text }'`,
  },
  {
    what: 'Dump core, with what its programs have in memory',
    succeeds: WITHOUT_AS_ROOT,
    script: 'ulimit -c 0; ulimit -c unlimited; [ "$(ulimit -c)" = 0 ] || echo taken',
  },
  {
    what: 'Signal the node or its supervisor',
    succeeds: WITHOUT,
    script: 'kill -0 $NODE && echo taken; kill -0 $SUPERVISOR && echo taken',
  },
  {
    what: 'Write a result into the store of a node without etcd',
    succeeds: WITHOUT,
    script: 'true >> $DATA/store.sqlite && echo taken',
  },
  {
    what: 'Cancel a task over the API, with a token that it makes up',
    succeeds: NOWHERE,
    script: `${ask(`POST /v1/tasks/$ENV{TASK}/cancel`, 'Authorization: Bearer $ENV{TOKEN}\\r\\nContent-Length: 0\\r\\n')} |
      grep 'status 2' && echo taken`,
  },
  {
    what: 'Read files of another task',
    succeeds: WITHOUT,
    script: 'cat $OTHER/workspace/secret.txt',
  },
  {
    what: 'Put files into the workspace of another task',
    succeeds: WITHOUT,
    script: 'echo planted > $OTHER/workspace/planted && echo taken',
  },
  {
    what: 'Read the secrets in the environment of another task',
    succeeds: WITHOUT,
    script: "tr '\\0' '\\n' < /proc/$VICTIM/environ",
  },
  {
    what: 'Write into the log of another task',
    succeeds: WITHOUT,
    script: 'echo forged > /proc/$VICTIM/fd/1 && echo taken',
  },
  {
    what: 'Signal another task',
    succeeds: WITHOUT,
    script: 'kill -0 $VICTIM && echo taken',
  },
  {
    what: 'Read what the system keeps from users, such as `/etc/shadow`',
    succeeds: WITHOUT_AS_ROOT,
    script: 'grep -q . /etc/shadow && echo taken',
  },
  {
    what: 'Change the files of the machine',
    succeeds: WITHOUT_AS_ROOT,
    attempt: changesMachine,
  },
  {
    what: 'Change what the kernel starts when a program crashes',
    succeeds: WITHOUT_AS_ROOT,
    // To what it is already.
    script: `file=/proc/sys/kernel/core_pattern
      pattern=$(cat $file) && printf '%s\\n' "$pattern" > $file && echo taken`,
  },
  {
    what: 'Become root by a program that may (`setuid`)',
    succeeds: WITHOUT_AS_ROOT,
    script: `[ "$(id -u)" = 0 ] && echo taken; [ "$($SETUID -u)" = 0 ] && echo taken
      grep -q 'NoNewPrivs:.0' /proc/self/status && echo taken`,
  },
  {
    what: 'Serve on a port below 1024',
    succeeds: WITHOUT_AS_ROOT,
    script: `[ "$(cat /proc/sys/net/ipv4/ip_unprivileged_port_start)" -gt 720 ] && perl -MIO::Socket::INET -e '
      for (700 .. 720) { IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => $_, Listen => 1) and print "taken\\n" }'`,
  },
  {
    what: 'Listen to the network traffic of others',
    succeeds: WITHOUT_AS_ROOT,
    // A socket of the family AF_PACKET.
    script: `perl -e 'print "taken\\n" if socket my $socket, 17, 3, 0'`,
  },
  {
    what: 'Mount file systems',
    succeeds: WITHOUT_AS_ROOT,
    script: 'mkdir m; mount -t tmpfs -o size=64k hostile m && echo taken && umount m',
  },
  {
    what: 'Read a disk past its file system',
    succeeds: WITHOUT_AS_ROOT,
    script: `while read -r major minor blocks name; do
        case $name in ram*|loop*|name|'') continue;; esac
        mknod disk-$name b $major $minor; head -c 512 disk-$name > copy && [ -s copy ] && echo taken
        head -c 512 /dev/$name > copy && [ -s copy ] && echo taken
      done < /proc/partitions`,
  },
  {
    what: 'Have the node keep files as artifacts that it may not read, by links',
    succeeds: WITHOUT,
    attempt: keepsLinkedFiles,
  },
  {
    what: 'Have the node keep such files, by links that come into the place of files just then',
    succeeds: WITHOUT,
    attempt: keepsSwappedFiles,
  },
  {
    what: 'Have the node delete files of others, by links',
    succeeds: NOWHERE,
    attempt: removesLinkedFiles,
  },
  {
    what: 'Leave files behind where other tasks find them',
    succeeds: OUTSIDE_BUBBLEWRAP,
    attempt: leavesFiles,
  },
  {
    what: 'Leave a process behind that hides',
    succeeds: WITHOUT,
    attempt: survives,
  },
  {
    what: 'Work on in such a process while the task is frozen',
    succeeds: WITHOUT,
    attempt: breaksFreeze,
  },
  {
    what: 'Start processes until nobody else can (fork bomb)',
    succeeds: SHARED_USER,
    attempt: multiplies,
  },
  {
    what: 'Fill the memory of the node with output',
    succeeds: NOWHERE,
    attempt: floodsNode,
  },
  {
    what: 'Fill the disk, for as long as it runs',
    succeeds: EVERYWHERE,
    attempt: fillsMachine,
  },
  {
    what: 'Fill the object store with its log, for as long as it runs',
    succeeds: EVERYWHERE,
    attempt: fillsStore,
  },
  {
    what: 'Reach servers on the loopback addresses of the machine',
    succeeds: EVERYWHERE,
    script: `${ask('GET /livez', '')} | grep status && echo taken`,
  },
  {
    what: 'Read the machine’s role at the metadata address of a cloud',
    succeeds: EVERYWHERE,
    isPossible: ({ metadata }) => metadata !== undefined,
    script: READ_ROLE,
  },
  {
    what: 'The same, where [a rule](docs/operations.md#the-metadata-address) keeps the users of tasks from it',
    succeeds: SHARED_USER,
    isPossible: ({ metadata }) => metadata !== undefined,
    attempt: readsRoleDespiteRule,
  },
];
