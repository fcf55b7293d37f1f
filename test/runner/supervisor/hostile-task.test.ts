import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Isolation } from '../../../node-runtime/runner/sandbox.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { ISOLATIONS, supervised } from './supervised.ts';

const HOST = fileURLToPath(new URL('../../support/hostile-task.ts', import.meta.url));
const PLACES = ['environment', 'commandLine', 'file', 'opened', 'memory', 'task'] as const;

/** What each isolation is known to let a task find; whatever else it finds is a hole. */
const LETS_FIND: Record<Isolation, readonly string[]> = {
  bubblewrap: [],
  // Command lines are everybody's to read: nothing secret belongs there.
  user: ['commandLine'],
  none: ['environment', 'commandLine', 'file', 'opened', 'memory', 'task', 'may-signal-the-node'],
};
/** As root, a task without isolation has even the system. */
const SYSTEM = ['system-file', 'became-root'];

describe('a task that looks for secrets', () => {
  for (const isolation of ISOLATIONS)
    it(`with isolation "${isolation}" finds ${LETS_FIND[isolation].join(', ') || 'nothing'}`, async () => {
      const found = await findWith(isolation);
      const expected = LETS_FIND[isolation];
      assert.deepEqual(
        found.filter(place => !(isolation === 'none' && SYSTEM.includes(place))),
        [...expected].sort(),
      );
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

/** Where it found secrets, in order. */
async function findWith(isolation: Isolation): Promise<string[]> {
  await using folder = await temporaryFolder();
  const dataDir = folder.path;
  // As open as a data folder can be, so that it is the isolation that holds and not this.
  await chmod(dataDir, 0o755);
  const secrets = new Map(PLACES.map(place => [place, `CANARY-${randomBytes(8).toString('hex')}`]));
  const list = join(dataDir, 'secrets.json');
  await writeFile(list, JSON.stringify(Object.fromEntries(secrets)), { mode: 0o600 });
  const args = [HOST, dataDir, isolation, `--etcd=https://user:${secrets.get('commandLine')}@127.0.0.1:1`, list];
  const { PATH } = process.env;
  const env = { PATH, AWS_SECRET_ACCESS_KEY: secrets.get('environment') };
  const running = promisify(execFile)(process.execPath, args, { env, maxBuffer: 1e9 });
  const { stdout } = await running;
  const words = new Set(stdout.split('\n').filter(word => word !== ''));
  assert.ok(words.delete('looked'), `It did not come to its end: ${stdout.slice(-1000)}`);
  const places = new Map([...secrets].map(([place, secret]) => [secret, place as string]));
  return [...words]
    .map(word => places.get(word) ?? word)
    .filter(place => !place.startsWith('CANARY-'))
    .sort();
}
