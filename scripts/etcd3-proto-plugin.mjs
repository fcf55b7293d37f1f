import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const LOAD = /\(0, proto_loader_1\.loadSync\)\(`\$\{__dirname\}\/\.\.\/proto\/rpc\.proto`,/;

/**
 * An esbuild plugin: etcd3 reads its protocol from `../proto/rpc.proto` beside its own file, which a bundle does not have.
 * Here the protocol is parsed when the bundle is built and stands in it as JSON.
 *
 * Without `keepCase` the fields would get other names: puts and gets work then, but prefix reads find nothing and watches
 * hang. So a bundle is proved by those two, not by its loading.
 */
export function etcd3Proto() {
  return {
    name: 'etcd3-proto',
    setup(build) {
      build.onLoad({ filter: /[\\/]etcd3[\\/]lib[\\/]connection-pool\.js$/ }, async ({ path }) => {
        const source = await readFile(path, 'utf8');
        if (!LOAD.test(source))
          throw new Error(`etcd3 no longer loads its protocol where this plugin expects it: ${path}`);
        const json = JSON.stringify(JSON.stringify(parseProtocol(path)));
        const contents = source.replace(LOAD, () => `(0, proto_loader_1.fromJSON)(JSON.parse(${json}),`);
        return { contents, loader: 'js' };
      });
    },
  };
}

/** With the very protobufjs that etcd3 will read the result with. */
function parseProtocol(connectionPool) {
  const loader = createRequire(connectionPool).resolve('@grpc/proto-loader');
  const protobuf = createRequire(loader)('protobufjs');
  const root = new protobuf.Root();
  root.loadSync(join(dirname(connectionPool), '../proto/rpc.proto'), { keepCase: true });
  root.resolveAll();
  return root.toJSON();
}
