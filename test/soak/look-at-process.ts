import { readdir, readFile, readlink } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ProbeLine } from './probe-line.ts';

/** One process at one moment: what it says, and what the kernel says. */
export interface ProcessSample extends ProbeLine {
  readonly rss: number;
  readonly cpuSeconds: number;
  readonly threads: number;
  /** Open file descriptors, and those of them that are sockets. */
  readonly handles: number;
  readonly sockets: number;
}

/** A process may be busy, and the machine with it. */
const ANSWER_LIMIT_MS = 60_000;
/** As Linux has them for programs: a hundredth of a second. */
const TICK_SECONDS = 0.01;

/**
 * Asks a process that has the probe in it.
 *
 * @param file where its probe writes
 * @param collects whether it collects its garbage before
 */
export async function lookAtProcess(
  pid: number,
  file: string,
  collects: boolean,
  signal: AbortSignal,
): Promise<ProcessSample> {
  const before = (await linesOf(file)).length;
  process.kill(pid, collects ? 'SIGPWR' : 'SIGUSR2');
  const end = performance.now() + ANSWER_LIMIT_MS;
  for (;;) {
    const line = (await linesOf(file))[before];
    if (line !== undefined) return { ...(JSON.parse(line) as ProbeLine), ...(await lookFromOutside(pid)) };
    if (performance.now() > end) throw new Error(`Process ${pid} has said nothing for ${ANSWER_LIMIT_MS / 1000} s`);
    await sleep(20, undefined, { signal });
  }
}

async function lookFromOutside(pid: number) {
  const [status, stat, links] = await Promise.all([
    readFile(`/proc/${pid}/status`, 'utf8'),
    readFile(`/proc/${pid}/stat`, 'utf8'),
    openFiles(pid),
  ]);
  const number = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1]);
  // After the name, which may hold anything, come state and numbers; the 12th and 13th of them are ticks of the processor.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return {
    rss: number('VmRSS') * 1024,
    threads: number('Threads'),
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) * TICK_SECONDS,
    handles: links.length,
    sockets: links.filter(link => link.startsWith('socket:')).length,
  };
}

/** Where its file descriptors lead; of one that is closed meanwhile nothing. */
async function openFiles(pid: number): Promise<string[]> {
  const folder = `/proc/${pid}/fd`;
  const links = await Promise.all((await readdir(folder)).map(name => readlink(`${folder}/${name}`).catch(() => '')));
  return links.filter(link => link !== '');
}

async function linesOf(file: string): Promise<string[]> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.split('\n').slice(0, -1);
}
