import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const LOAD = /\(0, proto_loader_1\.loadSync\)\(`\$\{__dirname\}\/\.\.\/proto\/rpc\.proto`,/;

/** What describes messages to clients that ask a server for its protocol. Making it took a third of the time to load etcd3. */
const DESCRIPTIONS = [
  ['const descriptor = require("protobufjs/ext/descriptor");\n', 'const descriptor = undefined;\n'],
  [
    `    const descriptorList = root.toDescriptor('proto3').file;
    const bufferList = descriptorList.map(value => Buffer.from(descriptor.FileDescriptorProto.encode(value).finish()));
`,
    '    const bufferList = [];\n',
  ],
  ["    const messageDescriptor = message.toDescriptor('proto3');\n", ''],
  ['        type: messageDescriptor.$type.toObject(messageDescriptor, descriptorOptions),\n', ''],
  ["    const enumDescriptor = enumType.toDescriptor('proto3');\n", ''],
  ['        type: enumDescriptor.$type.toObject(enumDescriptor, descriptorOptions),\n', ''],
];

/**
 * An esbuild plugin: etcd3 reads its protocol from `../proto/rpc.proto` beside its own file, which a bundle does not have.
 * Here the protocol is parsed when the bundle is built and stands in it as JSON.
 *
 * Without `keepCase` the fields would get other names: puts and gets work then, but prefix reads find nothing and watches
 * hang. So a bundle is proved by those two, not by its loading.
 *
 * And @grpc/proto-loader makes no descriptions, which a client has no use for.
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
      build.onLoad({ filter: /[\\/]@grpc[\\/]proto-loader[\\/]build[\\/]src[\\/]index\.js$/ }, async ({ path }) => {
        let contents = await readFile(path, 'utf8');
        for (const [found, instead] of DESCRIPTIONS) {
          if (contents.split(found).length !== 2)
            throw new Error(
              `@grpc/proto-loader no longer describes messages as this plugin expects it: ${path}: ${found}`,
            );
          contents = contents.replace(found, () => instead);
        }
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
