import { systemClock } from '../../extension/clock.ts';
import { KeptNode } from '../../extension/kept-node.ts';
import { LocalNode } from '../../extension/local-node.ts';

// Starts a local node, says where it is, and waits to be killed: what an extension host that crashes looks like.
const [main = '', dataFolder = '', kind = ''] = process.argv.slice(2);
const program = { command: process.execPath, args: [main], env: process.env };
const signal = AbortSignal.timeout(60_000);
const node =
  kind === 'kept'
    ? await KeptNode.start({ program, dataFolder, name: 'kept', clock: systemClock }, signal)
    : await LocalNode.start({ program, dataFolder, name: 'orphan', note: () => undefined }, signal);
console.log(node.address.url);
setInterval(() => undefined, 60_000);
await node.ended;
