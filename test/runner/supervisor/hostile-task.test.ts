import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmod, open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Isolation } from '../../../node-runtime/runner/sandbox.ts';
import { MOVES, type Setting } from '../../support/hostile-moves.ts';
import { PLACES, type Secrets } from '../../support/hostile-stage.ts';
import { METADATA_RULE, WITH_METADATA } from '../../support/metadata-stand-in.ts';
import { whyNoNetworkNamespace } from '../../support/network-namespace.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { ISOLATIONS, isRoot, supervised } from './supervised.ts';

const MANUAL = new URL('../../../docs/operations.md', import.meta.url);
const HOST = fileURLToPath(new URL('../../support/hostile-task.ts', import.meta.url));

/** What each isolation is known to let a task find that looks everywhere; whatever else it finds is a hole. */
const LETS_FIND: Record<Isolation, readonly string[]> = {
  bubblewrap: [],
  // Command lines are everybody's to read: nothing secret belongs there.
  user: ['commandLine'],
  none: [...PLACES, 'may-signal-the-node'],
};
/** As root, a task without isolation has even the system. */
const SYSTEM = ['system-file', 'became-root'];

describe('a hostile task', { skip: process.platform !== 'linux' && 'tasks are isolated on Linux only' }, () => {
  for (const isolation of ISOLATIONS)
    it(`with isolation "${isolation}" gets no more than SECURITY.md says`, async () => {
      const { found, moves } = await play(isolation);
      const setting = settingOf(isolation);
      assert.deepEqual(
        found.filter(place => !(isolation === 'none' && SYSTEM.includes(place))),
        [...LETS_FIND[isolation]].sort(),
      );
      const tried = MOVES.filter(({ what }) => moves.get(what) !== 'impossible');
      assert.deepEqual(
        tried.map(({ what }) => `${moves.get(what)}: ${what}`),
        tried.map(({ what, succeeds }) => `${succeeds.includes(setting) ? 'succeeds' : 'held'}: ${what}`),
      );
    });

  it('is kept from the metadata address by the very rule that the manual has', async () => {
    assert.ok((await readFile(MANUAL, 'utf8')).includes(`\nip rule add pref 100 ${METADATA_RULE}\n`));
  });

  it('is spoken of at the start of a node that does nothing against it', async () => {
    await using node = await supervised('none');
    assert.match(node.notices.join('\n'), /NOT isolated.*can read everything that it can, its credentials included/);
  });

  for (const isolation of ISOLATIONS.filter(each => each !== 'none'))
    it(`is not spoken of with isolation "${isolation}"`, async () => {
      await using node = await supervised(isolation);
      assert.doesNotMatch(node.notices.join('\n'), /NOT isolated/);
      assert.equal(node.notices.length, 1);
    });
});

function settingOf(isolation: Isolation): Setting {
  if (isolation === 'user') return 'user, root';
  return isRoot ? `${isolation}, root` : isolation;
}

/** Where a task that looks everywhere found secrets, in order; and how each move went. */
async function play(isolation: Isolation): Promise<{ found: string[]; moves: ReadonlyMap<string, string> }> {
  await using folder = await temporaryFolder();
  // As open as a data folder can be, so that it is the isolation that holds and not this.
  await chmod(folder.path, 0o755);
  const secrets = Object.fromEntries(PLACES.map(place => [place, `CANARY-${randomBytes(8).toString('hex')}`]));
  const lines = (await host(isolation, folder.path, secrets)).split('\n');
  const judged = lines.filter(line => line.startsWith('{')).map(line => JSON.parse(line));
  const places = new Map(Object.entries(secrets).map(([place, secret]) => [secret, place]));
  const words = new Set(lines.filter(line => line !== '' && line !== 'tried' && !line.startsWith('{')));
  return {
    moves: new Map(judged.map(({ move, verdict }) => [move, verdict])),
    found: [...words]
      .map(word => places.get(word) ?? word)
      .filter(place => !place.startsWith('CANARY-'))
      .sort(),
  };
}

/** What the node prints on whose stage all this is played. */
async function host(isolation: Isolation, dataDir: string, secrets: Secrets): Promise<string> {
  const list = join(dataDir, 'secrets.json');
  await writeFile(list, JSON.stringify(secrets), { mode: 0o600 });
  await writeFile(join(dataDir, 'inherited'), `${secrets.inherited}\n`, { mode: 0o600 });
  await using inherited = await open(join(dataDir, 'inherited'));
  const network = whyNoNetworkNamespace() === undefined ? WITH_METADATA : [];
  const node = [process.execPath, HOST, dataDir, isolation, `--etcd=https://user:${secrets.commandLine}@127.0.0.1:1`];
  const [program = '', ...args] = [...network, ...node, list];
  const { PATH } = process.env;
  const child = spawn(program, args, {
    env: { PATH, AWS_SECRET_ACCESS_KEY: secrets.environment },
    stdio: ['ignore', 'pipe', 'inherit', inherited.fd],
  });
  let output = '';
  child.stdout!.on('data', bytes => {
    output += bytes;
  });
  const [code] = await once(child, 'close');
  assert.equal(code, 0, output.slice(-2000));
  return output;
}
