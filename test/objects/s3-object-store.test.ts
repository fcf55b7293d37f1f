import { S3ObjectStore } from '../../node-runtime/objects/s3-object-store.ts';
import { parseS3Address } from '../../node-runtime/objects/s3-address.ts';
import { systemChance } from '../../node-runtime/system/chance.ts';
import { systemClock } from '../../node-runtime/system/clock.ts';
import { objectStoreContract } from '../contracts/object-store-contract.ts';
import { startCeph, whyNoCeph } from '../support/ceph-server.ts';

objectStoreContract(
  'S3ObjectStore',
  async () => {
    const ceph = await startCeph();
    const { credentials } = ceph;
    const address = parseS3Address(ceph.address.replace('?', '/a prefix/of its own?'));
    const objects = new S3ObjectStore({ address, credentials, clock: systemClock, chance: systemChance });
    return { objects, [Symbol.asyncDispose]: () => ceph[Symbol.asyncDispose]() };
  },
  { skip: whyNoCeph() },
);
