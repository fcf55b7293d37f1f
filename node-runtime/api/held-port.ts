import { once } from 'node:events';
import { createServer } from 'node:net';
import { CiError } from '../../shared/errors.ts';

export interface ListenAddress {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
}

/**
 * Keeps the place until it is disposed of, so that nobody else gets it before the server is there to take it. Who connects
 * meanwhile is cut off. Rejects as the server would, with `conflict` when the port is taken.
 */
export async function holdPort(listen: ListenAddress): Promise<AsyncDisposable> {
  const server = createServer(socket => socket.destroy());
  try {
    await once(server.listen(listen), 'listening');
  } catch (error) {
    throw listenFailure(error, listen);
  }
  const closed = once(server, 'close');
  return {
    [Symbol.asyncDispose]: async () => {
      server.close(() => undefined);
      await closed;
    },
  };
}

/** What the system means when it refuses a place to listen; what it never says is a bug and stays as it is. */
export function listenFailure(error: unknown, { host, port }: ListenAddress): unknown {
  const refusal = (code: 'conflict' | 'forbidden' | 'invalid', why: string) =>
    new CiError(code, `Cannot listen on ${host}:${port} as ${why}`, { cause: error });
  switch ((error as NodeJS.ErrnoException).code) {
    case 'EADDRINUSE':
      return refusal('conflict', 'the port is taken. Give another with --listen, or end the program that has it');
    case 'EACCES':
      return refusal('forbidden', 'this user may not: ports below 1024 take root. Give another with --listen');
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return refusal('invalid', 'this machine has no such address. Give another with --listen');
    default:
      return error;
  }
}
