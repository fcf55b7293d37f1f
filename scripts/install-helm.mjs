// Installs Helm, which the tests of the chart render it with, where a Go is there to build it: Helm is on no registry of packages.
// Quiet and instant when it is there. Runs on Node 18 or later; also by itself: `node scripts/install-helm.mjs`.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const VERSION = 'v4.3.1';
const folder = fileURLToPath(new URL(`../.cache/helm-${VERSION}`, import.meta.url));

/** What renders the chart, once it is installed. */
export const helm = join(folder, 'helm');

/** Installs Helm if it is missing, and may be. `missing` names it if it is not there afterwards. */
export async function installHelm({ log }) {
  if (existsSync(helm)) return { missing: [] };
  const started = Date.now();
  log(`Building Helm ${VERSION} for the tests of the chart (about a minute) …`);
  const fresh = `${folder}.${process.pid}`;
  try {
    await mkdir(fresh, { recursive: true });
    await goInstall(`helm.sh/helm/v4/cmd/helm@${VERSION}`, fresh);
    await rm(folder, { recursive: true, force: true });
    await rename(fresh, folder);
    log(`Built Helm in ${Math.round((Date.now() - started) / 1000)} s.`);
    return { missing: [] };
  } catch (error) {
    log(`Cannot build Helm, so the chart is not tested, as ${error.message}`);
    return { missing: ['helm'] };
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
}

function goInstall(program, bin) {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, GOBIN: bin, CGO_ENABLED: '0', GOFLAGS: '-ldflags=-s -trimpath' };
    const child = spawn('go', ['install', program], { env, stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', text => {
      said = (said + text).slice(-2000);
    });
    child.on('error', error => reject(error.code === 'ENOENT' ? new Error('there is no Go (1.25 or newer)') : error));
    child.on('close', code => (code === 0 ? resolve() : reject(new Error(`go ended with ${code}:\n${said}`))));
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { missing } = await installHelm({ log: text => console.log(text) });
  process.exitCode = missing.length === 0 ? 0 : 1;
}
