import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** A bare server in a process of its own: what a refusal costs at the least. */
export async function startBareServer(): Promise<{ readonly url: string; readonly pid: number } & AsyncDisposable> {
  const child = spawn(process.execPath, [fileURLToPath(new URL('bare-server-child.ts', import.meta.url))], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'close');
  const [port] = (await Promise.race([once(child.stdout, 'data'), ended])) as [unknown];
  return {
    url: `http://127.0.0.1:${Number(String(port))}`,
    pid: child.pid!,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
