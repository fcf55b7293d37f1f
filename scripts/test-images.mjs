// `npm run test:images`: builds the images of deploy/Dockerfile on a base made here of Debian's packages, and runs them. Installs what it
// needs; where that cannot be, it says so and ends with 77. Not part of `npm test`: making the base alone takes most of a minute.
import { access, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildBinaries } from './build-binary.mjs';
import { buildInfo } from './bundle-options.mjs';
import { root, run, runTests, sentence } from './checks.mjs';
import { installPrograms } from './debian-packages.mjs';
import { setUp } from './setup.mjs';

const SKIPPED = 77;
const TARGETS = ['default', 'minimal', 'podman'];
const NEEDED = ['buildah', 'podman', 'runc', 'debootstrap'].map(name => ({ name, programs: [name], packages: [name] }));
const cache = join(root, '.cache/images');
const base = join(cache, 'bookworm.tar');

const log = text => console.log(text);

async function main() {
  await setUp({ log });
  if (process.platform !== 'linux' || process.getuid() !== 0)
    return skip('only root on Linux can make and run them here');
  const missing = await installPrograms(NEEDED, { log, size: 'up to 80 MB' });
  if (missing.length > 0) return skip(`there is no ${missing.map(({ name }) => name).join(', no ')}`);
  const place = await mkdtemp(join(tmpdir(), 'simple-ci-images-'));
  try {
    const env = { ...process.env, ...(await configure(place)) };
    await buildBinaries({ log });
    await importBase(env);
    for (const target of TARGETS) await buildImage(target, env);
    const counts = await runTests(['test/images/images.test.ts'], { env: { ...env, SIMPLE_CI_TEST_BUILT: 'true' } });
    log(sentence(counts));
    return counts.failed === 0 && counts.passed > 0 ? 0 : 1;
  } finally {
    await run(['umount', '-l', join(place, 'storage/overlay')]);
    await rm(place, { recursive: true, force: true });
  }
}

function skip(reason) {
  log(`SKIPPED: the images were neither built nor run, as ${reason}.`);
  return SKIPPED;
}

/** A place of its own for images and containers. runc, and limits told: others refuse to start in containers and old control groups. */
async function configure(place) {
  const [containers, storage] = [join(place, 'containers.conf'), join(place, 'storage.conf')];
  await writeFile(
    containers,
    `[containers]
default_ulimits = ["nofile=20000:20000", "nproc=20000:20000"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
`,
  );
  await writeFile(
    storage,
    `[storage]
driver = "overlay"
graphroot = "${join(place, 'storage')}"
runroot = "${join(place, 'run')}"
`,
  );
  return { CONTAINERS_CONF: containers, CONTAINERS_STORAGE_CONF: storage };
}

/** Kept in the cache, where a removal of .cache makes it anew. */
async function importBase(env) {
  if (!(await exists(base))) await makeBase();
  await must(['podman', 'import', '--quiet', base, 'localhost/base'], env);
}

async function makeBase() {
  const started = Date.now();
  log('Making a base image of Debian’s packages …');
  await mkdir(cache, { recursive: true });
  const fresh = await mkdtemp(join(cache, 'rootfs-'));
  try {
    await must(['debootstrap', '--variant=minbase', 'bookworm', fresh], process.env);
    await must(['tar', '-C', fresh, '-cf', `${base}.part`, '.'], process.env);
    await rename(`${base}.part`, base);
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
  log(`Made in ${Math.round((Date.now() - started) / 1000)} s.`);
}

/** With the package sources of this machine, which may be the only ones it reaches. */
async function buildImage(target, env) {
  const started = Date.now();
  const { version, commit, built } = await buildInfo();
  const values = {
    BASE: 'localhost/base',
    VERSION: version,
    REVISION: commit ?? 'unknown',
    CREATED: built ?? 'unknown',
  };
  const given = Object.entries(values).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]);
  const place = ['--network', 'host', '--volume', '/etc/apt:/etc/apt:ro', '--runtime', 'runc'];
  const what = ['--file', 'deploy/Dockerfile', '--target', target, '--tag', `localhost/simple-ci:${target}`, root];
  await must(['buildah', 'build', '--layers', ...place, ...given, ...what], env);
  log(`Built the image ${target} in ${Math.round((Date.now() - started) / 1000)} s.`);
}

async function must(argv, env) {
  const { code, output } = await run(argv, { env });
  if (code !== 0)
    throw new Error(`Cannot go on as ${argv.slice(0, 2).join(' ')} ended with ${code}:\n${output.slice(-3000)}`);
}

function exists(path) {
  return access(path).then(
    () => true,
    () => false,
  );
}

process.exitCode = await main();
