import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { networkInterfaces } from 'node:os';
import { promisify } from 'node:util';
import { HIGHEST_USER, LOWEST_USER } from '../../node-runtime/runner/supervisor/user-block.ts';

const execute = promisify(execFile);

/** Where clouds tell a machine which role it has, and give it the credentials of that role. */
const METADATA = '169.254.169.254';
/** As docs/operations.md says it, for a machine that gives tasks users of their own. */
export const METADATA_RULE = `to ${METADATA} uidrange ${LOWEST_USER}-${HIGHEST_USER} prohibit`;

/**
 * What puts the program that follows into a network of its own that has this address, which only root can. Addresses of the machine
 * itself come before all rules; here they come after, as those of other machines do.
 */
export const WITH_METADATA: readonly string[] = [
  'unshare',
  '--net',
  '--',
  'sh',
  '-c',
  `ip link set lo up && ip address add ${METADATA}/32 dev lo && ip rule add pref 1000 lookup local && ip rule del pref 0 && exec "$0" "$@"`,
];

export interface Metadata extends AsyncDisposable {
  /** Keeps the users of tasks from it, until it is disposed of. */
  forbid(): Promise<AsyncDisposable>;
}

/** Serves a role as clouds do; undefined where the address is not ours. */
export async function serveMetadata(): Promise<Metadata | undefined> {
  const isOurs = Object.values(networkInterfaces()).some(all => all?.some(({ address }) => address === METADATA));
  if (!isOurs) return undefined;
  const server = createServer(({ url }, response) => {
    const isRole = url === '/latest/meta-data/iam/security-credentials/node';
    response.writeHead(isRole ? 200 : 404).end(isRole ? '{"AccessKeyId":"of the machine"}\n' : '');
  });
  server.listen(80, METADATA);
  await once(server, 'listening');
  return {
    forbid: async () => {
      const rule = async (does: 'add' | 'del') => {
        await execute('ip', ['rule', does, 'pref', '100', ...METADATA_RULE.split(' ')]);
      };
      await rule('add');
      return { [Symbol.asyncDispose]: () => rule('del') };
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Prints `taken` when it gets the role. */
export const READ_ROLE = `perl -MIO::Socket::INET -e '
  my $socket = IO::Socket::INET->new(PeerAddr => "${METADATA}", PeerPort => 80, Timeout => 30) or exit;
  print $socket "GET /latest/meta-data/iam/security-credentials/node HTTP/1.0\\r\\n\\r\\n";
  while (<$socket>) { print "taken\\n" if /AccessKeyId/ }'`;
