// `npm test`: sets everything up, including the real etcd and the real S3, and runs every check and test.
import { build } from './build.mjs';
import { buildBinaries } from './build-binary.mjs';
import { add, findTests, runStaticChecks, runTests, sentence } from './checks.mjs';
import { installHelm } from './install-helm.mjs';
import { installServers } from './install-servers.mjs';
import { installVscode } from './install-vscode.mjs';
import { makePackage } from './package.mjs';
import { setUp } from './setup.mjs';

const log = text => console.log(text);

/** Also run against the one executable: between them they use everything that is in it. */
const OF_THE_BINARY = ['cluster', 'command-line', 'doctor', 'logs', 'workspace'].map(
  name => `test/end-to-end/${name}.test.ts`,
);

await setUp({ log });
// At once: Helm is built, the others are fetched and unpacked.
const installed = await Promise.all([
  installHelm({ log }),
  installServers({ log }).then(async servers => [servers, await installVscode({ log })]),
]);
const missing = installed.flat().flatMap(one => one.missing);
if (missing.length > 0 && process.env.CI === 'true') log(`In CI what is missing is a failure: ${missing.join(', ')}`);
await build({ log });
await buildBinaries({ log });
await makePackage({ log, isBuilt: true });
const { quick, thorough, withServers } = await findTests();
let total = await runStaticChecks(log);
// One Ceph for all of them; a bundle and an executable that are built already.
const env = { ...process.env, SIMPLE_CI_TEST_BUILT: 'true' };
const globalSetup = './test/support/share-ceph.ts';
total = add(total, await runTests(longestFirst([...quick, ...thorough, ...withServers]), { env, globalSetup }));
log('The same end-to-end tests against the executable:');
total = add(total, await runTests(OF_THE_BINARY, { env: { ...env, SIMPLE_CI_TEST_PROGRAM: 'binary' }, globalSetup }));
if (missing.length > 0 && process.env.CI === 'true') total = add(total, { passed: 0, failed: missing.length });
log(sentence(total));
process.exitCode = total.failed === 0 ? 0 : 1;

/** The story in VS Code is one file of two minutes: begun last, it would run alone at the end. */
function longestFirst(files) {
  return [
    ...files.filter(file => file.startsWith('test/vscode/')),
    ...files.filter(file => !file.startsWith('test/vscode/')),
  ];
}
