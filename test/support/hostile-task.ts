// A node with secrets in all its places, one task that has a secret too, and one that looks for them. Prints what that finds.
import { openSync, readFileSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TaskId } from '../../shared/ids.ts';
import type { Isolation } from '../../node-runtime/runner/sandbox.ts';
import { startSupervisor } from '../../node-runtime/runner/supervisor/start-supervisor.ts';
import { systemClock } from '../../node-runtime/system/clock.ts';

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const SUPERVISE = [
  process.execPath,
  fileURLToPath(new URL('../../node-runtime/main.ts', import.meta.url)),
  'supervise',
];

// The environment and the command line hold secrets already; these are for the memory, a file, an open file and another task.
const [dataDir = '', isolation = 'none', , secrets = ''] = process.argv.slice(2);
const { file, opened, memory, task } = JSON.parse(readFileSync(secrets, 'utf8')) as Record<string, string>;
rmSync(secrets);
await writeFile(join(dataDir, 'token'), `${file}\n`, { mode: 0o600 });
await writeFile(join(dataDir, 'opened'), `${opened}\n`, { mode: 0o600 });
openSync(join(dataDir, 'opened'), 'r');
const kept = Buffer.from(`in memory: ${memory}`);

await using supervisor = await startSupervisor({
  command: SUPERVISE,
  root: join(dataDir, 'sandboxes'),
  isolation: isolation as Isolation,
  clock: systemClock,
  onNotice: () => undefined,
  freezeAfterMs: 3_600_000,
});
await using victim = await supervisor.open({ task: '5victim' as TaskId, fence: 1 });
await writeFile(join(victim.folders.workspace, 'secret.txt'), `${task}\n`);
await victim.adopt(victim.folders.workspace);
victim.run({ argv: ['/bin/sleep', '1000'], cwd: victim.inside.workspace, env: { SECRET: task ?? '' } });

await using hostile = await supervisor.open({ task: '5hostile' as TaskId, fence: 2 });
const script = readFileSync(new URL('hostile-task.sh', import.meta.url), 'utf8');
const running = hostile.run({
  argv: ['/bin/sh', '-c', script],
  cwd: hostile.inside.workspace,
  env: {
    PATH,
    HOME: hostile.inside.home,
    HINT_PID: String(process.pid),
    HINT_FOLDERS: `${dataDir} ${join(victim.folders.workspace, '..')}`,
  },
});
for await (const bytes of running.output) process.stdout.write(bytes);
if (kept.length === 0) throw new Error('The secret in memory is gone');
