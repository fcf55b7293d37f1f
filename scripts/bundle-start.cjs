// What the bundle starts with. It is given the program as parts, packed: a start unpacks those it needs, and compiles them through
// Node's compile cache. `--version` took 150 ms compiling the whole program each time. The supervisor is small and runs none of that.
const { enableCompileCache, flushCompileCache, Module } = require('node:module');
const { homedir } = require('node:os');
const { join } = require('node:path');
const { inflateRawSync } = require('node:zlib');

const OLDEST_NODE = 24;
/** When a program that goes on running keeps what it has compiled so far; others keep it as they end. In milliseconds. */
const FLUSH_MS = 3000;

module.exports = function start(file, parts) {
  if (Number.parseInt(process.versions.node, 10) < OLDEST_NODE) refuse();
  if (process.argv[2] === 'supervise') supervise();
  else startProgram(file, parts);
};

function refuse() {
  process.stderr.write(
    `simple-ci: Cannot run on this Node as ${OLDEST_NODE} or later is needed: ${process.execPath}, ${process.version}\n`,
  );
  process.exit(2);
}

function supervise() {
  const { supervise } = require('../node-runtime/runner/supervisor/supervise.ts');
  supervise().catch(error => {
    process.stderr.write(`simple-ci: ${error.stack}\n`);
    process.exit(3);
  });
}

function startProgram(file, parts) {
  // In the user's own cache folder, never where others can write: what is in there is run. Where that cannot be written,
  // starts take longer.
  const cache = cacheFolder();
  if (cache) enableCompileCache(join(cache, 'simple-ci', 'code'));
  setTimeout(flushCompileCache, FLUSH_MS).unref();
  loader(file, parts)('./main.js');
}

/** Undefined for a user who has no home, as in some containers. */
function cacheFolder() {
  try {
    return process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  } catch {
    return undefined;
  }
}

/** What parts are given as `require`: other parts begin with `./`. One that is loaded lies here packed no more. */
function loader(file, parts) {
  const loaded = new Map();
  return function load(name) {
    if (!name.startsWith('./')) return require(name);
    const known = loaded.get(name);
    if (known) return known.exports;
    const part = new Module(join(file, name), null);
    loaded.set(name, part);
    part.filename = part.id;
    part.require = load;
    part._compile(inflateRawSync(parts.get(name)).latin1Slice(), part.filename);
    parts.delete(name);
    return part.exports;
  };
}
