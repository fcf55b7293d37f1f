import { readFile } from 'node:fs/promises';

/** One tick of the kernel's count, in milliseconds. */
const TICK_MS = 10;

/** User and system time that a process has taken so far, in milliseconds. */
export async function processorMsOf(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).replace(/^.*\) /, '').split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}
