import { z } from 'zod';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import type { CommandEnd } from '../../node-runtime/runner/sandbox.ts';
import type { Process } from './machine.ts';

/** What the process of a simulated step does. It is the text of the step. */
export const TaskProgram = z.object({
  /** How long it works before it ends. */
  ms: z.number(),
  /** Lines that it prints meanwhile, evenly. */
  lines: z.number(),
  lineBytes: z.number(),
  /** Whether one line holds the secret that it was given. */
  printsSecret: z.boolean(),
  /** Files that it leaves in its workspace, and their sizes. */
  files: z.array(z.tuple([z.string(), z.number()])),
  ignoresTerm: z.boolean(),
  /** `killed`: by something else than Simple CI. `poison`: it takes its whole machine down. `never`: it must be stopped. */
  end: z.enum(['passes', 'fails', 'killed', 'poison', 'never']),
});
export type TaskProgram = z.infer<typeof TaskProgram>;

/** What a process can do to the world. */
export interface Effects {
  /** Resolves when there is room for more. */
  print(bytes: Buffer): Promise<void>;
  writeFile(path: string, bytes: Buffer): void;
  poison(): void;
}

/** The name under which programs get the secret, and its value: seen nowhere, if all is well. */
export const SECRET_NAME = 'CANARY';
export const SECRET = 'canary-5Qm9xTz8Lw2RkV7b';

const TERM_MS = 20;

/** Runs until its end, or until it is asked to end; a process that is killed meanwhile is simply not heard of again. */
export async function runProgram(
  program: TaskProgram,
  env: Readonly<Record<string, string>>,
  process: Process,
  term: AbortSignal,
  effects: Effects,
): Promise<CommandEnd> {
  const asked = program.ignoresTerm ? neverAborted : term;
  try {
    await work(program, env, process, asked, effects);
  } catch (error) {
    if (!asked.aborted) throw error;
    await process.sleep(TERM_MS, neverAborted);
    return { kind: 'killed', signal: 'SIGTERM', byUs: true };
  }
  switch (program.end) {
    case 'passes':
      return { kind: 'exited', code: 0 };
    case 'fails':
      return { kind: 'exited', code: 1 };
    case 'killed':
      return { kind: 'killed', signal: 'SIGKILL', byUs: false };
    case 'poison':
      effects.poison();
      return { kind: 'exited', code: 0 };
    case 'never':
      throw new Error('It has ended that never ends');
  }
}

async function work(
  program: TaskProgram,
  env: Readonly<Record<string, string>>,
  process: Process,
  asked: AbortSignal,
  { print, writeFile }: Effects,
): Promise<void> {
  const { lines, lineBytes, ms, printsSecret, files } = program;
  const secretAt = printsSecret ? Math.floor(lines / 2) : -1;
  for (let line = 0; line < lines; line++) {
    await process.sleep(ms / (lines + 1), asked);
    const text = line === secretAt ? `the secret is ${env[SECRET_NAME]}!` : `line ${line} of ${env.SIMPLE_CI_FENCE}`;
    await print(Buffer.from(`${text.padEnd(lineBytes, '.')}\n`));
  }
  await process.sleep(ms / (lines + 1), asked);
  for (const [path, size] of files)
    writeFile(path, Buffer.alloc(size, `${path} ${env.SIMPLE_CI_TASK} ${env.SIMPLE_CI_FENCE} `));
  while (program.end === 'never') await process.sleep(3_600_000, asked);
}
