import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** What a folder may import from, besides itself. Files directly under node-runtime/ are where everything meets. */
const ALLOWED: Record<string, readonly string[]> = {
  shared: [],
  'shared/log-model': ['shared'],
  'shared/log-viewer': ['shared', 'shared/log-model'],
  'shared/agents': ['shared', 'shared/log-model'],
  extension: ['shared', 'shared/agents', 'shared/log-model'],
  'extension/webview': ['shared', 'shared/log-model', 'shared/log-viewer'],
  'node-runtime/system': ['shared'],
  'node-runtime/store': ['shared', 'node-runtime/system'],
  'node-runtime/objects': ['shared', 'node-runtime/system'],
  'node-runtime/cluster': ['shared', 'node-runtime/system', 'node-runtime/store', 'node-runtime/objects'],
  'node-runtime/workspace': ['shared', 'node-runtime/system', 'node-runtime/objects'],
  'node-runtime/queue': [
    'shared',
    'node-runtime/system',
    'node-runtime/store',
    'node-runtime/objects',
    'node-runtime/cluster',
  ],
  'node-runtime/logs': [
    'shared',
    'node-runtime/system',
    'node-runtime/store',
    'node-runtime/objects',
    'node-runtime/cluster',
    'node-runtime/queue',
  ],
  'node-runtime/runner': [
    'shared',
    'node-runtime/system',
    'node-runtime/store',
    'node-runtime/objects',
    'node-runtime/cluster',
    'node-runtime/workspace',
    'node-runtime/queue',
    'node-runtime/logs',
  ],
  'node-runtime/api': [
    'shared',
    'node-runtime/system',
    'node-runtime/store',
    'node-runtime/objects',
    'node-runtime/cluster',
    'node-runtime/queue',
    'node-runtime/logs',
  ],
  'node-runtime/kubernetes': [
    'shared',
    'node-runtime/system',
    'node-runtime/cluster',
    'node-runtime/store',
    'node-runtime/queue',
  ],
  'node-runtime/pods': [
    'shared',
    'node-runtime/system',
    'node-runtime/store',
    'node-runtime/objects',
    'node-runtime/cluster',
    'node-runtime/workspace',
    'node-runtime/runner',
    'node-runtime/kubernetes',
  ],
  // options.ts is what the command line and a node agree on: types only.
  'node-runtime/cli': [
    'shared',
    'shared/agents',
    'node-runtime/system',
    'node-runtime/store',
    'node-runtime/objects',
    'node-runtime/workspace',
    'node-runtime/kubernetes',
    'node-runtime/options.ts',
    'node-runtime/adapter-options.ts',
  ],
};

interface Import {
  readonly from: string;
  readonly to: string;
  readonly isType: boolean;
}

function sources(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.ts'))
    .map(name => `${folder}/${name}`);
}

function textOf(file: string): string {
  return readFileSync(join(root, file), 'utf8');
}

/** Every import, export-from and dynamic import of a file. */
function importsOf(file: string): Import[] {
  const found = textOf(file).matchAll(
    /(?:^|\n)\s*(import|export)\s+(type\s+)?[^'";]*?from\s+'([^']+)'|import\(\s*'([^']+)'\s*\)|(?:^|\n)import\s+'([^']+)'/g,
  );
  return [...found].map(([, , isType, fromStatic, fromDynamic, bare]) => {
    const to = fromStatic ?? fromDynamic ?? bare ?? '';
    const path = to.startsWith('.') ? relative(root, join(root, dirname(file), to)) : to;
    return { from: file, to: path, isType: isType !== undefined };
  });
}

function folderOf(file: string): string {
  const [top = '', second = ''] = file.split('/');
  const isFolderOfItsOwn = top === 'node-runtime' || `${top}/${second}` in ALLOWED;
  return isFolderOfItsOwn && !second.endsWith('.ts') ? `${top}/${second}` : top;
}

const code = [...sources('shared'), ...sources('node-runtime'), ...sources('extension')];
const imports = code.flatMap(importsOf);

test('the imports that are checked are really found', () => {
  assert.ok(imports.length > 300, `only ${imports.length}`);
  assert.ok(
    imports.some(({ from, to }) => from === 'node-runtime/queue/claim.ts' && to === 'node-runtime/cluster/cluster.ts'),
  );
});

test('imports go one way', () => {
  const wrong = imports.filter(({ from, to }) => {
    const folder = folderOf(from);
    const allowed = ALLOWED[folder];
    if (!allowed || !/^(shared|node-runtime|extension|test)\//.test(to)) return false;
    return folderOf(to) !== folder && !allowed.includes(folderOf(to)) && !allowed.includes(to);
  });
  assert.deepEqual(
    wrong.map(({ from, to }) => `${from} → ${to}`),
    [],
  );
});

test('every folder of node-runtime has its place among the imports', () => {
  const folders = new Set(code.map(folderOf));
  assert.deepEqual(
    [...folders].filter(folder => folder !== 'node-runtime' && !(folder in ALLOWED)),
    [],
  );
});

test('only the etcd store imports etcd3, and only the S3 store the AWS SDK', () => {
  const strangers = imports.filter(
    ({ from, to }) =>
      (/^(etcd3|@grpc\/)/.test(to) && !/^node-runtime\/store\/(etcd|diagnose-etcd)/.test(from)) ||
      (to.startsWith('@aws-sdk/') && !/^node-runtime\/objects\/s3-/.test(from)),
  );
  assert.deepEqual(strangers, []);
});

test('shared/ imports nothing of Node', () => {
  assert.deepEqual(
    imports.filter(({ from, to }) => from.startsWith('shared/') && to.startsWith('node:')),
    [],
  );
});

test('only the files of the extension that name it import vscode, and what has no need of it is tested without', () => {
  const importers = new Set(imports.filter(({ to }) => to === 'vscode').map(({ from }) => from));
  assert.deepEqual(
    [...importers].filter(file => !file.startsWith('extension/')),
    [],
  );
  const model = ['cluster-connection', 'clusters', 'log-feed', 'submit-workspace', 'problem-scanner', 'task-rows'];
  for (const name of model) assert.ok(!importers.has(`extension/${name}.ts`), name);
});

test('only the log viewer is made of Lit', () => {
  const strangers = imports.filter(({ from, to }) => /^lit\b/.test(to) && !from.startsWith('shared/log-viewer/'));
  assert.deepEqual(strangers, []);
});

test('the extension reads time and chance in its clock only', () => {
  assert.deepEqual(
    readersOfTime(file => file.startsWith('extension/') && file !== 'extension/clock.ts'),
    [],
  );
});

test('time and chance come in through system/ only', () => {
  assert.deepEqual(
    readersOfTime(file => file.startsWith('node-runtime/') && !file.startsWith('node-runtime/system/')),
    [],
  );
});

function readersOfTime(isMeant: (file: string) => boolean): string[] {
  const banned =
    /\bDate\.now\(|\bnew Date\(\)|(?<![.\w])setTimeout\(|(?<![.\w])setInterval\(|\bMath\.random\(|\bperformance\.now\(/;
  return code.filter(isMeant).flatMap(file =>
    textOf(file)
      .split('\n')
      .flatMap((line, at) =>
        banned.test(line.replace(/\/\/.*|^\s*\*.*/, '')) ? [`${file}:${at + 1}: ${line.trim()}`] : [],
      ),
  );
}

test('the environment of the process is read in one place of each program', () => {
  const readers = code.filter(file => /process\.env\b/.test(textOf(file)));
  assert.deepEqual(
    readers.filter(file => file !== 'node-runtime/cli/environment.ts' && file !== 'extension/extension.ts'),
    [],
  );
});

test('ARCHITECTURE.md maps every folder and names none that is not there', () => {
  const text = textOf('ARCHITECTURE.md');
  const mapped = [
    ...text.matchAll(/^\| `((?:shared|node-runtime|extension|test|scripts|docs|examples)[^`]*)\/`/gm),
  ].map(match => match[1] ?? '');
  const folders = Object.keys(ALLOWED);
  assert.deepEqual(
    folders.filter(folder => !mapped.includes(folder)),
    [],
  );
  assert.deepEqual(
    mapped.filter(folder => !isFolder(folder)),
    [],
  );
});

test('the files that ARCHITECTURE.md names as entry points exist', () => {
  const text = textOf('ARCHITECTURE.md');
  const named = [...text.matchAll(/`((?:shared|node-runtime|extension|test|scripts)\/[\w./-]+\.(?:ts|mjs))`/g)].map(
    match => match[1] ?? '',
  );
  assert.ok(named.length >= 8);
  for (const file of named) assert.ok(textOf(file).length > 0, file);
});

function isFolder(path: string): boolean {
  try {
    readdirSync(join(root, path));
    return true;
  } catch {
    return false;
  }
}
