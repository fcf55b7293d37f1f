import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { root } from '../checks.mjs';

/**
 * What is really in an executable, as CycloneDX: the packages that esbuild has taken code of, with the versions and hashes of
 * package-lock.json, and Node with what that is made of.
 */
export async function billOfMaterials({ info, target, metafile, node }) {
  const lock = JSON.parse(await readFile(`${root}package-lock.json`, 'utf8')).packages;
  const packages = packagesOf(metafile).map(path => componentOf(path, lock[path]));
  const components = [nodeComponent(node), ...packages];
  const program = {
    type: 'application',
    'bom-ref': 'simple-ci',
    name: 'simple-ci',
    version: info.version,
    licenses: [{ license: { id: 'MIT' } }],
    properties: [
      { name: 'simple-ci:target', value: target },
      { name: 'simple-ci:commit', value: info.commit ?? 'none' },
    ],
  };
  const refs = components.map(component => component['bom-ref']);
  const bill = {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: { ...(info.built && { timestamp: info.built }), component: program },
    components,
    dependencies: [{ ref: 'simple-ci', dependsOn: refs }],
  };
  return { ...bill, serialNumber: serialNumber(bill) };
}

/** Paths in the lock file of the packages that have given at least one byte. */
function packagesOf({ outputs }) {
  const inputs = Object.values(outputs).flatMap(({ inputs }) => Object.entries(inputs));
  const paths = inputs
    .filter(([, { bytesInOutput }]) => bytesInOutput > 0)
    .flatMap(([path]) => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? []);
  return [...new Set(paths)].sort();
}

function componentOf(path, locked) {
  if (!locked) throw new Error(`Cannot list ${path} as package-lock.json does not have it`);
  const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
  const purl = `pkg:npm/${name.replace('@', '%40')}@${locked.version}`;
  return {
    type: 'library',
    'bom-ref': purl,
    name,
    version: locked.version,
    purl,
    ...(locked.license && { licenses: [{ expression: locked.license }] }),
    ...(locked.integrity && { hashes: [sha512(locked.integrity)] }),
  };
}

function sha512(integrity) {
  return { alg: 'SHA-512', content: Buffer.from(integrity.replace('sha512-', ''), 'base64').toString('hex') };
}

/** @param versions `process.versions` of that Node. */
function nodeComponent({ versions, hash }) {
  const { node, modules: _, ...parts } = versions;
  return {
    type: 'platform',
    'bom-ref': `pkg:generic/node@${node}`,
    name: 'node',
    version: node,
    purl: `pkg:generic/node@${node}`,
    cpe: `cpe:2.3:a:nodejs:node.js:${node}:*:*:*:*:*:*:*`,
    hashes: [{ alg: 'SHA-256', content: hash }],
    components: Object.entries(parts).map(([name, version]) => ({
      type: 'library',
      'bom-ref': `node/${name}@${version}`,
      name,
      version,
    })),
  };
}

/** A UUID, the same for the same bill. */
function serialNumber(bill) {
  const hex = createHash('sha256').update(JSON.stringify(bill)).digest('hex');
  return `urn:uuid:${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
