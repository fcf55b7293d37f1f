import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DirectoryObjectStore } from '../../node-runtime/objects/directory-object-store.ts';
import { systemChance } from '../../node-runtime/system/chance.ts';
import { systemClock } from '../../node-runtime/system/clock.ts';
import { objectStoreContract } from '../contracts/object-store-contract.ts';
import { startSignedObjectServer } from '../support/signed-object-server.ts';

objectStoreContract('DirectoryObjectStore', async () => {
  await using started = new AsyncDisposableStack();
  const root = await mkdtemp(join(tmpdir(), 'simple-ci-objects-'));
  started.defer(() => rm(root, { recursive: true, force: true }));
  const server = started.use(await startSignedObjectServer());
  const objects = new DirectoryObjectStore({ root, clock: systemClock, chance: systemChance, signer: server.signer });
  server.serve(objects);
  const whole = started.move();
  return { objects, [Symbol.asyncDispose]: () => whole.disposeAsync() };
});
