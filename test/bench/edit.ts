import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { submitWorkspace } from '../../extension/submit-workspace.ts';
import { type Client, createClient } from '../../shared/client.ts';
import { LogText } from '../../shared/log-text.ts';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import { build, bundle } from '../../scripts/build.mjs';
import { type Bench, figure, median } from './figures.ts';

const RUNS = 15;
const FOLDERS = 50;
const FILES_IN_EACH = 40;
/** Prints when it was started, in nanoseconds since 1970. */
const COMMAND = 'date +%s%N';

/** In milliseconds. */
interface Stages {
  /** Until it is packed. */
  readonly snapshot: number;
  readonly sending: number;
  /** From the queue to the process. */
  readonly node: number;
}

/**
 * From the edit of one line in a workspace of 2,000 files to the start of its task's process on a local node, by the way that
 * the extension takes: the program takes a snapshot, sends it and submits; the node claims, checks out and starts. The floor is
 * a start of the same program that does nothing.
 */
export const bench: Bench = async log => {
  await build();
  const home = await mkdtemp(join(tmpdir(), 'simple-ci-edit-'));
  const env = { PATH: process.env.PATH ?? '', HOME: home };
  const node = spawn(process.execPath, [bundle, ...nodeArguments(join(home, 'data'))], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env,
  });
  try {
    const { address, token } = await ready(createInterface(node.stdout));
    await using client = createClient({ urls: [address], token });
    const folder = await makeWorkspace(join(home, 'workspace'));
    const program = { command: process.execPath, args: [bundle], env };
    const times: number[] = [];
    const stages: Stages[] = [];
    const floors: number[] = [];
    for (let run = 0; run <= RUNS; run++) {
      log(`edit ${run} of ${RUNS}`);
      const began = Date.now();
      execFileSync(process.execPath, [bundle, '--version'], { env });
      const edited = Date.now();
      await writeFile(join(folder, 'folder-7/file-7.txt'), `edited for the ${run}. time\n`);
      let packed = edited;
      const submission = await submitWorkspace(
        {
          program,
          folder,
          task: { kind: 'command', command: COMMAND },
          urls: [address],
          token,
          isLocal: true,
          onProgress: ({ kind }) => {
            if (kind === 'sending') packed = Date.now();
          },
          ask: async () => true,
          withdraw: async () => undefined,
        },
        neverAborted,
      );
      const id = submission!.id;
      const started = await startOf(client, id);
      const { submitted } = (await client.call('getTask', { params: { id } }, neverAborted)).task;
      // The first one sends all files.
      if (run === 0) continue;
      floors.push(edited - began);
      times.push(started - edited);
      stages.push({ snapshot: packed - edited, sending: submitted - packed, node: started - submitted });
    }
    return [
      figure('edit of a line → process started', median(times), 'ms', {
        floor: median(floors),
        aim: { of: 'value', atMost: 1000 },
      }),
      figure('of it, start of the program and snapshot', median(stages.map(({ snapshot }) => snapshot)), 'ms'),
      figure('of it, sending and submitting', median(stages.map(({ sending }) => sending)), 'ms'),
      figure('of it, claim, check-out and sandbox', median(stages.map(({ node }) => node)), 'ms'),
      figure('the slowest of them', Math.max(...times), 'ms'),
    ];
  } finally {
    node.kill('SIGTERM');
    await once(node, 'close');
    await rm(home, { recursive: true, force: true });
  }
};

function nodeArguments(data: string): string[] {
  return ['node', '--cluster', 'local', '--data', data, '--listen', '127.0.0.1:0', '--say-token', '--json'];
}

async function ready(lines: AsyncIterable<string>): Promise<{ readonly address: string; readonly token: string }> {
  for await (const line of lines) {
    const event = JSON.parse(line) as { event: string; address: string; token: string };
    if (event.event === 'ready') return event;
  }
  throw new Error('Cannot measure as the node has ended before it was ready');
}

async function makeWorkspace(folder: string): Promise<string> {
  for (let at = 0; at < FOLDERS; at++) {
    await mkdir(join(folder, `folder-${at}`), { recursive: true });
    for (let file = 0; file < FILES_IN_EACH; file++)
      await writeFile(join(folder, `folder-${at}`, `file-${file}.txt`), `${at} ${file}\n`.repeat(100));
  }
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=bench', '-c', 'user.email=bench@localhost', ...args], { cwd: folder });
  git('init', '--quiet');
  git('add', '.');
  git('commit', '--quiet', '-m', 'All files');
  return folder;
}

/** In milliseconds since 1970, as the task has printed it. */
async function startOf(client: Client, id: string): Promise<number> {
  const text = new LogText({ timestamps: false, colors: false });
  let printed = '';
  for await (const event of client.log(id, { follow: true }, neverAborted)) printed += text.push(event);
  const [nanoseconds] = /\b\d{19}\b/.exec(printed + text.end()) ?? [];
  if (nanoseconds === undefined) throw new Error(`Cannot measure as the task has not told when it started: ${printed}`);
  return Number(nanoseconds) / 1e6;
}
