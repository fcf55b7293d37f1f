import { LocalNode } from '../../extension/local-node.ts';

// Starts a local node, says where it is, and waits to be killed: what an extension host that crashes looks like.
const [main = '', dataFolder = ''] = process.argv.slice(2);
const program = { command: process.execPath, args: [main], env: process.env };
const options = { program, dataFolder, name: 'orphan', note: () => undefined };
const node = await LocalNode.start(options, AbortSignal.timeout(60_000));
console.log(node.address.url);
await node.ended;
