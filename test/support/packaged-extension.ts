import { existsSync } from 'node:fs';
import { makePackage, vsix } from '../../scripts/package.mjs';

/** The package of the extension as it is installed; made once, by `npm test` before the tests begin. */
export async function packagedExtension(): Promise<string> {
  if (!(process.env.SIMPLE_CI_TEST_BUILT === 'true' && existsSync(vsix))) await makePackage();
  return vsix;
}
