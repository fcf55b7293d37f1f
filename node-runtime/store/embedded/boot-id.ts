import { readFileSync } from 'node:fs';

/** A word for this life of the machine, from start to restart; empty where the operating system has none to tell. */
export function readBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}
