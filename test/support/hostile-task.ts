// A node with secrets in all its places, and tasks that are after them. Prints what they get, a word a line: secrets that one
// task finds which looks everywhere, then a line of JSON for each move.
import { readFileSync, rmSync } from 'node:fs';
import type { Isolation } from '../../node-runtime/runner/sandbox.ts';
import { MOVES, type Move } from './hostile-moves.ts';
import { type Secrets, setStage, type Stage } from './hostile-stage.ts';

// The environment, the command line and a descriptor hold secrets already.
const [dataDir = '', isolation = 'none', , list = ''] = process.argv.slice(2);
const secrets = JSON.parse(readFileSync(list, 'utf8')) as Secrets;
rmSync(list);

await using stage = await setStage(isolation as Isolation, dataDir, secrets);
await lookEverywhere(stage);
for (const move of MOVES) console.log(JSON.stringify({ move: move.what, verdict: await judge(stage, move) }));

async function lookEverywhere({ open, run }: Stage): Promise<void> {
  await using sandbox = await open();
  process.stdout.write(await run(sandbox, readFileSync(new URL('hostile-task.sh', import.meta.url), 'utf8')));
}

async function judge(stage: Stage, move: Move): Promise<'succeeds' | 'held' | 'impossible'> {
  if (move.isPossible?.(stage) === false) return 'impossible';
  if ('attempt' in move) return (await move.attempt(stage)) ? 'succeeds' : 'held';
  await using sandbox = await stage.open();
  if (isTaken(stage, await stage.run(sandbox, move.script))) return 'succeeds';
  // What the machine does not even let the node do shows nothing of the isolation.
  const isForNode = stage.isolation === 'none' && move.succeeds.some(setting => setting.startsWith('none'));
  return isForNode && !isTaken(stage, await stage.runAsNode(move.script, dataDir)) ? 'impossible' : 'held';
}

function isTaken({ secrets: all }: Stage, output: string): boolean {
  return /^taken$/m.test(output) || Object.values(all).some(secret => output.includes(secret));
}
