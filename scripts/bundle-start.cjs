// Where the bundle begins. It holds the program as text, so that Node compiles it through its compile cache: `--version` took
// 70 ms then, and 150 ms compiling three megabytes each time. The supervisor is small and runs none of that.
const { enableCompileCache, flushCompileCache, Module } = require('node:module');
const { homedir } = require('node:os');
const { join } = require('node:path');

/** When a program that goes on running keeps what it has compiled so far; others keep it as they end. In milliseconds. */
const FLUSH_MS = 3000;

if (process.argv[2] === 'supervise') supervise();
else startProgram();

function supervise() {
  const { supervise } = require('../node-runtime/runner/supervisor/supervise.ts');
  supervise().catch(error => {
    process.stderr.write(`simple-ci: ${error.stack}\n`);
    process.exit(3);
  });
}

function startProgram() {
  // In the user's own cache folder, never where others can write: what is in there is run. Where that cannot be written,
  // starts take longer.
  const cache = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  enableCompileCache(join(cache, 'simple-ci', 'code'));
  setTimeout(flushCompileCache, FLUSH_MS).unref();
  const program = new Module(__filename, null);
  program.filename = __filename;
  program.paths = module.paths;
  program._compile(require('simple-ci:program'), `${__filename}.program`);
}
