import { stat } from 'node:fs/promises';

/** Changes whenever the file is replaced or written to. */
export async function fileSignature(path: string): Promise<string> {
  const info = await stat(path, { bigint: true }).catch(() => undefined);
  return info ? `${info.ino} ${info.size} ${info.mtimeNs} ${info.ctimeNs}` : 'none';
}
