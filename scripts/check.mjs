// `npm run check`: everything that can be checked without servers, in under a minute.
import { add, findTests, runStaticChecks, runTests, sentence } from './checks.mjs';
import { setUp } from './setup.mjs';

await setUp({ log: console.log });
const statics = await runStaticChecks(console.log);
const tests = await runTests((await findTests()).quick);
const total = add(statics, tests);
console.log(sentence(total));
process.exitCode = total.failed === 0 ? 0 : 1;
