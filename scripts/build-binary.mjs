// `npm run build:binary`: makes dist/simple-ci, the whole program in one executable of this system: Node, and everything else in it.
// `npm run build:binary -- --target linux-arm64,darwin-arm64`, or `--target all`: makes dist/simple-ci-TARGET for other systems too.
import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { deflateRawSync } from 'node:zlib';
import { billOfMaterials } from './binary/bill-of-materials.mjs';
import { dropAuthenticode } from './binary/drop-authenticode.mjs';
import { HERE, nodesFor, TARGETS } from './binary/node-releases.mjs';
import { signMachO } from './binary/sign-mach-o.mjs';
import { splitProgram } from './split-program.mjs';
import { stripElf } from './binary/strip-elf.mjs';
import { buildInfo, NODE_FLAGS } from './bundle-options.mjs';
import { root, run } from './checks.mjs';

const dist = join(root, 'dist');
export const binary = join(dist, HERE === 'win-x64' ? 'simple-ci.exe' : 'simple-ci');

/** What marks the place in Node’s code that says whether it holds a program, in all releases. */
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';
/** Parts of so many characters and more are pressed: a node needs some of them, `--version` and `--help` none. */
const PRESSED_FROM = 40_000;
/** V8 draws the names of what it writes down by chance: with one seed, two builds of a commit are the same bytes. It takes no code of a V8 with other flags. */
const BUILDER_FLAGS = ['--random-seed=1', ...NODE_FLAGS];

/** @param targets undefined for this system’s own executable; each that cannot be made is said, and returned. */
export async function buildBinaries({ targets, log = () => {} } = {}) {
  await mkdir(dist, { recursive: true });
  const info = await buildInfo();
  const program = await splitProgram(info);
  const made = [];
  const failed = [];
  for (const target of targets ?? [HERE]) {
    const out = targets ? join(dist, `simple-ci-${target}${target.startsWith('win') ? '.exe' : ''}`) : binary;
    try {
      made.push(...(await buildBinary({ target, out, info, ...program, log })));
    } catch (error) {
      if (!targets) throw error;
      failed.push(target);
      log(`Not built: ${target}. ${error.message}`);
    }
  }
  await writeSums(made);
  return { failed };
}

/** Returns the files it has made. */
async function buildBinary({ target, out, info, parts, metafile, log }) {
  if (!TARGETS[target]) throw new Error(`Cannot build for ${target}: there is ${Object.keys(TARGETS).join(', ')}`);
  const started = Date.now();
  const work = await mkdtemp(join(dist, `.${basename(out)}-`));
  try {
    const { base, builder } = await nodesFor(target, work);
    const executable = join(work, 'executable');
    await writeFile(executable, prepareNode(target, await readFile(base)));
    await inject(target, executable, await makeBlob({ isNative: target === HERE, builder, parts, work }));
    if (target.startsWith('darwin')) await writeFile(executable, signMachO(await readFile(executable), 'simple-ci'));
    await chmod(executable, 0o755);
    const versions = JSON.parse(await call([builder, '-p', 'JSON.stringify(process.versions)'], work));
    const node = { versions, hash: sha256(await readFile(base)) };
    const bill = `${out.replace(/\.exe$/, '')}.cdx.json`;
    await writeFile(bill, `${JSON.stringify(await billOfMaterials({ info, target, metafile, node }), null, 2)}\n`);
    await rename(executable, out);
    const { size } = await stat(out);
    log(
      `Built dist/${basename(out)}: ${(size / 1e6).toFixed(1)} MB, Node ${versions.node}, in ${Date.now() - started} ms`,
    );
    return [out, bill];
  } finally {
    await rm(work, { recursive: true });
  }
}

/** Node without what would be wrong in the executable, or is of no use there. */
function prepareNode(target, node) {
  if (target.startsWith('linux')) return stripElf(node);
  return target.startsWith('win') ? dropAuthenticode(node) : node;
}

/** The program as Node wants it. Code that V8 has made beforehand is for this system only. */
async function makeBlob({ isNative, builder, parts, work }) {
  const folder = join(work, 'parts');
  await mkdir(folder);
  const names = [];
  for (const [name, text] of parts) {
    const code = asFunction(text);
    const isPressed = code.length >= PRESSED_FROM;
    await writeFile(join(folder, name), code, 'latin1');
    if (isPressed) await writeFile(join(folder, `${name}.pressed`), deflateRawSync(code, { level: 9 }));
    names.push(isPressed ? `${name}.pressed` : name, ...(isNative ? [`${name}.code`] : []));
  }
  if (isNative) await call([builder, ...BUILDER_FLAGS, join(root, 'scripts/binary/compile-parts.mjs'), folder], work);
  await writeFile(join(work, 'start.cjs'), await readFile(join(root, 'scripts/binary/start.cjs')));
  const config = {
    main: 'start.cjs',
    output: 'blob',
    disableExperimentalSEAWarning: true,
    useCodeCache: isNative,
    execArgv: NODE_FLAGS,
    // NODE_OPTIONS of the machine are for other programs.
    execArgvExtension: 'none',
    assets: Object.fromEntries(names.sort().map(name => [name, `parts/${name}`])),
  };
  await writeFile(join(work, 'config.json'), JSON.stringify(config));
  await call([builder, ...BUILDER_FLAGS, '--experimental-sea-config', 'config.json'], work);
  return join(work, 'blob');
}

function asFunction(text) {
  return `(function(exports,require,module,__filename,__dirname){${text}\n})`;
}

async function inject(target, executable, blob) {
  const segment = target.startsWith('darwin') ? ['--macho-segment-name', 'NODE_SEA'] : [];
  await call(['postject', executable, 'NODE_SEA_BLOB', blob, '--sentinel-fuse', FUSE, ...segment], root);
}

async function call(argv, cwd) {
  const { code, output } = await run(argv, { cwd });
  if (code !== 0) throw new Error(`Cannot go on as ${basename(argv[0])} ended with ${code}: ${output.trim()}`);
  return output;
}

/** Of everything of this build, as `sha256sum --check` reads it. */
async function writeSums(files) {
  const lines = await Promise.all(files.map(async file => `${sha256(await readFile(file))}  ${basename(file)}\n`));
  await writeFile(join(dist, 'SHA256SUMS'), lines.join(''));
}

function sha256(bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}

function wantedTargets() {
  const { values } = parseArgs({ options: { target: { type: 'string' } } });
  return values.target === 'all' ? Object.keys(TARGETS) : values.target?.split(',');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { failed } = await buildBinaries({ targets: wantedTargets(), log: console.log });
  process.exitCode = failed.length === 0 ? 0 : 1;
}
