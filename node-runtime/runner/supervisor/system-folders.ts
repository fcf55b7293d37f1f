import { mkdir, readlink, realpath, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SystemFolders } from './bubblewrap.ts';

const LINKED = ['/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32'];
/** Where programs are; what else a machine has, such as /var, /srv, /root and /home, tasks do not see. */
const SHOWN = ['/usr', '/opt', '/nix'];
const HIDDEN = ['/etc/simple-ci', '/etc/kubernetes', '/etc/rancher'];

/** Looks at the machine, and writes the users that tasks see into a folder in the node's own. */
export async function readSystemFolders(ownFolder: string): Promise<SystemFolders> {
  const links: Record<string, string | null> = {};
  for (const path of await present(LINKED)) links[path] = await readlink(path).catch(() => null);
  const resolver = await realpath('/etc/resolv.conf').catch(() => undefined);
  return {
    links,
    shown: await present(SHOWN),
    hidden: await present(HIDDEN),
    ...(resolver && !resolver.startsWith('/etc/') && { resolver }),
    users: await writeUsers(join(ownFolder, 'system')),
  };
}

async function present(paths: readonly string[]): Promise<string[]> {
  const found = await Promise.all(
    paths.map(path =>
      stat(path).then(
        () => path,
        () => undefined,
      ),
    ),
  );
  return found.filter(path => path !== undefined);
}

/** Inside, the task's user has the same name and number on every node. */
async function writeUsers(folder: string): Promise<SystemFolders['users']> {
  await mkdir(folder, { recursive: true });
  const users = { passwd: join(folder, 'passwd'), group: join(folder, 'group') };
  const passwd = [
    'root:x:0:0:root:/root:/bin/sh',
    'task:x:1000:1000:task:/home/task:/bin/sh',
    'nobody:x:65534:65534:nobody:/nonexistent:/bin/false',
  ];
  await writeFile(users.passwd, `${passwd.join('\n')}\n`, { mode: 0o644 });
  await writeFile(users.group, 'root:x:0:\ntask:x:1000:\nnogroup:x:65534:\n', { mode: 0o644 });
  return users;
}
