import { access } from 'node:fs/promises';
import type { SandboxSystem } from './sandbox.ts';
import { SYSTEM_PATH } from './system-path.ts';

const BASH = ['/bin/bash', '/usr/bin/bash', '/usr/local/bin/bash'];
let system: Promise<SandboxSystem> | undefined;

/** What commands find on this machine: looked at once. */
export function machineSystem(): Promise<SandboxSystem> {
  system ??= Promise.any(BASH.map(path => access(path))).then(
    () => systemOf(true),
    () => systemOf(false),
  );
  return system;
}

function systemOf(hasBash: boolean): SandboxSystem {
  return { env: { PATH: SYSTEM_PATH, LANG: 'C.UTF-8' }, hasBash };
}
