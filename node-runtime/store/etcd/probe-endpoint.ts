import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { hostOf, serverNameOf } from './endpoint-host.ts';

/** PEM. Without an authority: those that Node.js knows. */
export interface EndpointCredentials {
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
}

/** What a client of HTTP/2 says first, with empty settings. A server that accepts us answers with its own. */
const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0';
const SETTINGS_FRAME = 4;

/**
 * Why a member cannot be talked to, as the end of a sentence, or `undefined` if it can. gRPC says of all of these but
 * "deadline exceeded".
 *
 * What a server thinks of a client's certificate is only seen in its answer to the first bytes: TLS 1.3 lets the client
 * finish first.
 */
export async function probeEndpoint(
  address: string,
  credentials: EndpointCredentials,
  ms: number,
): Promise<string | undefined> {
  const url = new URL(address);
  const isTls = url.protocol === 'https:';
  const target = { host: hostOf(address), port: Number(url.port || (isTls ? 443 : 80)) };
  let socket: Socket | undefined;
  try {
    socket = isTls
      ? connectTls({ ...target, servername: serverNameOf(target.host), ALPNProtocols: ['h2'], ...credentials })
      : connectTcp(target);
    return await speak(socket, isTls, ms);
  } catch (error) {
    return explain(error as Error, isTls);
  } finally {
    socket?.destroy();
  }
}

function speak(socket: Socket, isTls: boolean, ms: number): Promise<string | undefined> {
  const closed = isTls ? 'it closes the connection: does it speak TLS?' : 'it closes the connection: is it https?';
  return new Promise((resolve, reject) => {
    socket.setTimeout(ms, () => resolve(`no answer within ${ms} ms`));
    socket.once('error', reject);
    socket.once('close', () => resolve(closed));
    socket.once(isTls ? 'secureConnect' : 'connect', () => socket.write(PREFACE));
    socket.once('data', bytes =>
      resolve(bytes[3] === SETTINGS_FRAME ? undefined : 'it does not speak HTTP/2: is it etcd, and not https?'),
    );
  });
}

/** Codes of Node.js and texts of OpenSSL. The first that fits counts. */
const REASONS: readonly (readonly [RegExp, string])[] = [
  [/ECONNREFUSED/, 'connection refused: nothing listens there'],
  [/ENOTFOUND/, 'no such host'],
  [/EAI_AGAIN/, 'the name of the host cannot be looked up just now'],
  [/EHOSTUNREACH|ENETUNREACH/, 'no way leads to that host'],
  [/ETIMEDOUT/, 'no answer'],
  [/SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_/, 'its certificate is signed by an authority that is not known here'],
  [/DEPTH_ZERO_SELF_SIGNED_CERT/, 'its certificate is signed by itself alone'],
  [/CERT_SIGNATURE_FAILURE/, 'its certificate is signed by another authority of the same name'],
  [/CERT_HAS_EXPIRED/, 'its certificate has expired'],
  [/CERT_NOT_YET_VALID/, 'its certificate is not valid yet'],
  [/ALTNAME_INVALID/, 'its certificate is for another host name'],
  [/wrong version number|packet length too long/, 'it does not speak TLS: is it http?'],
  [/key values mismatch/i, 'the client’s certificate and key do not belong together'],
  [/alert (bad certificate|certificate required)/, 'it wants a client certificate, or does not accept the one given'],
  [/alert unknown ca/, 'it does not know the authority of the client certificate'],
];

function explain(error: Error, isTls: boolean): string {
  const text = `${(error as NodeJS.ErrnoException).code} ${error.message}`;
  if (/ECONNRESET|EPIPE/.test(text))
    return `it closes the connection: ${isTls ? 'does it speak TLS?' : 'is it https?'}`;
  return REASONS.find(([pattern]) => pattern.test(text))?.[1] ?? error.message;
}
