// One line a test file, every failure in full, every skip with its reason, and the counts as the last line.
import { relative } from 'node:path';
import { inspect } from 'node:util';

export default async function* report(source) {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for await (const { type, data } of source) {
    if (type === 'test:stdout' || type === 'test:stderr') yield data.message;
    // A suite and a file are not tests; what fails in them is reported by the tests, or as the file's own failure.
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    const isFile = data.nesting === 0 && data.file !== undefined && data.name === data.file;
    const isSuite = data.details?.type === 'suite' || isFile;
    if (type === 'test:fail') {
      const cause = data.details?.error?.cause ?? data.details?.error;
      if (isSuite && data.details?.error?.failureType === 'subtestsFailed') continue;
      counts.failed++;
      yield `✗ ${place(data)}: ${data.name}\n${indent(inspect(cause, { depth: 5 }))}\n`;
    } else if (isSuite) continue;
    else if (data.skip !== undefined && data.skip !== false) {
      counts.skipped++;
      yield `- skipped: ${place(data)}: ${data.name} (${data.skip === true ? 'no reason given' : data.skip})\n`;
    } else {
      counts.passed++;
      if (data.details?.duration_ms > 5000)
        yield `✓ ${place(data)}: ${data.name} (${Math.round(data.details.duration_ms / 1000)} s)\n`;
    }
  }
  yield `${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`;
}

function place({ file }) {
  return file === undefined ? '' : relative(process.cwd(), file);
}

function indent(text) {
  return text.replace(/^/gm, '    ');
}
