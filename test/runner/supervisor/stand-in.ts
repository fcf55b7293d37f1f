// A node as far as its supervisor is concerned: opens a sandbox, runs a script in it, and renews for as long as it lives. One that is
// told so stops itself before it opens the sandbox, and renews no more from then on but at SIGUSR2.
import type { TaskId } from '../../../shared/ids.ts';
import type { Isolation } from '../../../node-runtime/runner/sandbox.ts';
import { startSupervisor } from '../../../node-runtime/runner/supervisor/start-supervisor.ts';
import { momentOf, systemClock } from '../../../node-runtime/system/clock.ts';
import { LEASE, start, SUPERVISE } from './supervised.ts';

const [root = '', isolation = 'none', freezeAfterMs = '3600000', script = '', stops = ''] = process.argv.slice(2);
const supervisor = await startSupervisor({
  command: SUPERVISE,
  root,
  isolation: isolation as Isolation,
  clock: systemClock,
  onNotice: () => undefined,
  freezeAfterMs: Number(freezeAfterMs),
});
const renew = () => supervisor.renewed({ lease: LEASE, sent: momentOf(systemClock) });
renew();
const renewing = setInterval(renew, 20);
if (stops !== '') {
  clearInterval(renewing);
  process.stdout.write('stops\n');
  process.kill(process.pid, 'SIGSTOP');
}
const sandbox = await supervisor.open({ task: '5standin' as TaskId, fence: 1, lease: LEASE });
process.on('SIGUSR2', () => {
  renew();
  void sandbox.thaw();
});
const running = start(sandbox, script);
process.stdout.write(`${sandbox.folders.home}\n`);
for await (const bytes of running.output) process.stdout.write(bytes);
