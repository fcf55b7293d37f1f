import { readFile } from 'node:fs/promises';
import type { SoakRecord } from './run-soak.ts';
import type { Sample, SoakEnd, SoakHead } from './sample.ts';

/** What a soak has written so far. */
export async function readRecord(file: string): Promise<SoakRecord> {
  const [head, ...rest] = (await readFile(file, 'utf8'))
    .split('\n')
    .slice(0, -1)
    .map(line => JSON.parse(line));
  if (head === undefined) throw new Error(`Cannot read ${file} as it is empty`);
  const samples = rest.filter(line => 'at' in line) as Sample[];
  const surprises = rest.flatMap(line => ('surprise' in line ? [line.surprise as string] : []));
  const end = rest.find(line => 'did' in line) as SoakEnd | undefined;
  return { head: head as SoakHead, samples, surprises, ...(end && { end }) };
}
