import { isSea } from 'node:sea';
import { PROGRAM } from './pods/pod-places.ts';

/**
 * Where the program starts. Nothing heavy is loaded before it is known to be needed: `--version` and `--help` answer at once,
 * and the supervisor stays small.
 */
async function main(): Promise<void> {
  if (process.argv[2] === 'supervise') return startSupervisor();
  if (process.pid === 1) await startInit();
  if (process.argv[2] === 'attend-pod') process.exit(await startAttendant());
  process.exit(await startCli());
}

/** Returns only where that cannot be done. */
async function startInit(): Promise<void> {
  const { startUnderInit } = await import('./system/start-under-init.ts');
  startUnderInit([...ownProgram(), ...process.argv.slice(2)]);
}

async function startSupervisor(): Promise<void> {
  const { supervise } = await import('./runner/supervisor/supervise.ts');
  await supervise();
}

/** In the pod of a task, where a node has put this program. */
async function startAttendant(): Promise<number> {
  const { attendPod } = await import('./pods/attend-pod.ts');
  const { readVariables } = await import('./cli/environment.ts');
  return attendPod({ role: process.argv[3], variables: readVariables(), program: ownProgram() });
}

async function startCli(): Promise<number> {
  const { runCli } = await import('./cli/run-cli.ts');
  const { readEnvironment } = await import('./cli/environment.ts');
  const { processTerminal } = await import('./cli/terminal.ts');
  const { processInterrupts } = await import('./cli/interrupts.ts');
  const { systemClock } = await import('./system/clock.ts');
  const { systemChance } = await import('./system/chance.ts');
  const { BUILD, VERSION } = await import('./version.ts');
  const environment = readEnvironment();
  const terminal = processTerminal(environment);
  const code = await runCli(process.argv.slice(2), {
    version: VERSION,
    build: { ...BUILD, isExecutable: isSea() },
    environment,
    terminal,
    interrupts: processInterrupts(systemClock, () => process.exit(130)),
    clock: systemClock,
    chance: systemChance,
    supervisorCommand: [...ownProgram(), 'supervise'],
    diagnoseIsolation: async wanted =>
      (await import('./runner/supervisor/diagnose-isolation.ts')).diagnoseIsolation(wanted),
    startNode: async options => (await import('./node.ts')).startNode(options),
    startMetricsAdapter: async options => (await import('./metrics-adapter.ts')).startMetricsAdapter(options),
  });
  await terminal.flush();
  return code;
}

/** What starts this program again. In the image of a task it was not started by itself, but by a loader of its own. */
function ownProgram(): [string, ...string[]] {
  const isInstalled = process.argv[2] === 'attend-pod' && process.argv[3] === 'task';
  return isInstalled ? [PROGRAM] : [process.execPath, ...ownFile()];
}

/** What Node must be given to start this program again; nothing when the program is the executable itself. */
function ownFile(): string[] {
  return isSea() ? [] : [...process.execArgv, process.argv[1]!];
}

main().catch((error: unknown) => {
  process.stderr.write(`simple-ci: ${error instanceof Error ? error.stack : String(error)}\n`);
  process.exit(3);
});
