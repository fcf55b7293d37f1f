// A node as far as its supervisor is concerned: opens a sandbox, runs a script in it, and renews for as long as it lives.
import type { TaskId } from '../../../shared/ids.ts';
import type { Isolation } from '../../../node-runtime/runner/sandbox.ts';
import { startSupervisor } from '../../../node-runtime/runner/supervisor/start-supervisor.ts';
import { momentOf, systemClock } from '../../../node-runtime/system/clock.ts';
import { start, SUPERVISE } from './supervised.ts';

const [root = '', isolation = 'none', freezeAfterMs = '3600000', script = ''] = process.argv.slice(2);
const supervisor = await startSupervisor({
  command: SUPERVISE,
  root,
  isolation: isolation as Isolation,
  clock: systemClock,
  onNotice: () => undefined,
  freezeAfterMs: Number(freezeAfterMs),
});
setInterval(() => supervisor.renewed(momentOf(systemClock)), 20);
const sandbox = await supervisor.open({ task: '5standin' as TaskId, fence: 1 });
const running = start(sandbox, script);
process.stdout.write(`${sandbox.folders.home}\n`);
for await (const bytes of running.output) process.stdout.write(bytes);
