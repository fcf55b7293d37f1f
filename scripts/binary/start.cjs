// Where the executable begins. The program lies in it as parts, each with the code that V8 made of it when the executable was
// built: a start loads only those it needs, reads no file and writes none. `--version` takes little more than Node itself.
const { getAssetKeys, getRawAsset } = require('node:sea');
const { Script } = require('node:vm');

const assets = new Set(getAssetKeys());
const loaded = new Map();

/** What parts are given as `require`: other parts begin with `./`. */
function load(name) {
  if (!name.startsWith('./')) return require(name);
  const known = loaded.get(name);
  if (known) return known.exports;
  const module = { exports: {} };
  loaded.set(name, module);
  compile(name.slice(2))(module.exports, load, module, __filename, __dirname);
  return module.exports;
}

/**
 * The parts are ASCII, so each byte is a character; large ones are pressed. For other systems than that of the build there is no
 * code: V8 makes it anew.
 */
function compile(part) {
  const cache = `${part}.code`;
  const cachedData = assets.has(cache) ? Buffer.from(getRawAsset(cache)) : undefined;
  const text = textOf(part).latin1Slice();
  return new Script(text, { filename: `simple-ci/${part}`, cachedData }).runInThisContext();
}

function textOf(part) {
  const pressed = `${part}.pressed`;
  if (!assets.has(pressed)) return Buffer.from(getRawAsset(part));
  return require('node:zlib').inflateRawSync(Buffer.from(getRawAsset(pressed)));
}

load('./main.js');
