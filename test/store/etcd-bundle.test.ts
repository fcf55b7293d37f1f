import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { build, type Plugin } from 'esbuild';
import { requireEtcd, startEtcd } from '../support/etcd-server.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');

const PROGRAM = `
  import { systemChance } from './node-runtime/system/chance.ts';
  import { neverAborted, systemClock } from './node-runtime/system/clock.ts';

  async function main() {
    const { EtcdStore } = await import('./node-runtime/store/etcd-store.ts');
    const call = { signal: neverAborted, timeoutMs: 5000 };
    const parts = { clock: systemClock, chance: systemChance };
    const store = await EtcdStore.open({ endpoints: [process.argv[2]] }, parts, neverAborted);
    for (const key of ['a/1', 'a/2', 'b']) await store.commit({ when: [], then: [{ put: key, value: 'v' }] }, call);
    const { records } = await store.range({ prefix: 'a/', limit: 10 }, call);
    const seen = [];
    for await (const batch of store.watch({ prefix: 'a/', from: 1 }, AbortSignal.timeout(20_000))) {
      seen.push(...batch.changes.map(change => change.record.key));
      if (seen.length === 2) break;
    }
    const lease = await store.grantLease(60, call);
    const ttl = await store.renewLease(lease, call);
    await store[Symbol.asyncDispose]();
    process.stdout.write(JSON.stringify({ read: records.map(record => record.key), seen, ttl }));
  }
  void main();
`;

test('etcd works from a bundle that lies in another folder', async t => {
  if (!requireEtcd(t)) return;
  const dir = mkdtempSync(join(tmpdir(), 'simple-ci-bundle-'));
  try {
    // Out of the compiler's sight, as it belongs to the scripts.
    const { etcd3Proto } = (await import(join(root, 'scripts/etcd3-proto-plugin.mjs'))) as { etcd3Proto(): Plugin };
    const outfile = join(dir, 'program.cjs');
    await build({
      stdin: { contents: PROGRAM, resolveDir: root, loader: 'ts' },
      bundle: true,
      platform: 'node',
      target: 'node24',
      format: 'cjs',
      minify: true,
      outfile,
      logLevel: 'silent',
      plugins: [etcd3Proto()],
    });
    await using etcd = await startEtcd();
    const { stdout } = await run(process.execPath, [outfile, etcd.endpoints[0]], { cwd: dir, timeout: 60_000 });
    assert.deepEqual(JSON.parse(stdout), { read: ['a/1', 'a/2'], seen: ['a/1', 'a/2'], ttl: 60 });
  } finally {
    rmSync(dir, { recursive: true });
  }
});
