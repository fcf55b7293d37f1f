// Installs what the tests use, a real etcd, a real S3 (Ceph) and small programs, from the packages of Debian or Ubuntu. Quiet
// and instant when they are there. Runs on Node 18 or later; also by itself: `node scripts/install-servers.mjs`.
import { fileURLToPath } from 'node:url';
import { installPrograms } from './debian-packages.mjs';

/** What tests need: the programs that must be there, and the packages that bring them. */
const SERVERS = [
  { name: 'etcd', programs: ['etcd', 'etcdctl'], packages: ['etcd-server', 'etcd-client'] },
  {
    name: 'ceph',
    programs: ['ceph-mon', 'ceph-osd', 'radosgw', 'radosgw-admin', 'ceph', 'monmaptool', 'setpriv'],
    packages: ['ceph-mon', 'ceph-osd', 'radosgw', 'util-linux'],
  },
  { name: 'openssl', programs: ['openssl'], packages: ['openssl'] },
  { name: 'bubblewrap', programs: ['bwrap'], packages: ['bubblewrap'] },
  { name: 'ps', programs: ['ps'], packages: ['procps'] },
  { name: 'iptables', programs: ['ip', 'iptables'], packages: ['iproute2', 'iptables'] },
  { name: 'faketime', programs: ['faketime'], packages: ['faketime'] },
  { name: 'zsh', programs: ['zsh'], packages: ['zsh'] },
  { name: 'fish', programs: ['fish'], packages: ['fish'] },
];

/** Installs what is missing, if it may. `missing` names what is not there afterwards. */
export async function installServers({ log }) {
  const missing = await installPrograms(SERVERS, { log, size: 'up to 90 MB' });
  return { missing: missing.map(server => server.name) };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { missing } = await installServers({ log: text => console.log(text) });
  if (missing.length === 0) console.log('Everything that the tests need is installed.');
  process.exitCode = missing.length === 0 ? 0 : 1;
}
