import { setTimeout as sleep } from 'node:timers/promises';
import { objectStoreContract } from '../contracts/object-store-contract.ts';
import { type Carry, MemoryObjectStore } from '../support/memory-object-store.ts';
import { startSignedObjectServer } from '../support/signed-object-server.ts';

/** A store that is not quite here: what is done at once could not be interrupted. */
const carry: Carry = async (_operation, _key, effect, signal) => {
  await sleep(1);
  signal.throwIfAborted();
  return effect();
};

objectStoreContract('MemoryObjectStore', async () => {
  const server = await startSignedObjectServer();
  const objects = new MemoryObjectStore({ signer: server.signer, carry });
  server.serve(objects);
  return { objects, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
});
