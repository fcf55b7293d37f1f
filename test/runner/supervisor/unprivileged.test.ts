import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { isRoot } from './supervised.ts';

/** Nobody: as a node that was started by a person, where this test itself runs as root. */
const NOBODY = { uid: 65534, gid: 65534 };
const FOLDER = fileURLToPath(new URL('.', import.meta.url));
const FILES = readdirSync(FOLDER).filter(name => name.endsWith('.test.ts') && name !== 'unprivileged.test.ts');

describe('for a node that does not run as root', { skip: whyNot() }, () => {
  for (const file of FILES)
    it(`all holds that ${file} says`, async () => {
      const child = spawn(process.execPath, ['--test', '--test-reporter=tap', `${FOLDER}${file}`], {
        ...NOBODY,
        cwd: '/',
        env: { PATH: process.env.PATH, HOME: '/nonexistent' },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let report = '';
      child.stdout.on('data', bytes => {
        report += bytes;
      });
      const [code] = await once(child, 'close');
      assert.equal(code, 0, report);
      assert.match(report, /^# pass [1-9]/m);
    });
});

function whyNot(): string | false {
  if (!isRoot) return 'the tests beside it have run that way already';
  const reads = spawnSync(process.execPath, ['--check', `${FOLDER}supervised.ts`], { ...NOBODY, cwd: '/', env: {} });
  return reads.status === 0 ? false : 'this checkout is not for others to read';
}
