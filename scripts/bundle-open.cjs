// Where the bundle begins. All that follows this code in the file is one comment: the program as parts, packed. This takes them out
// and starts the first. No function of it is kept, so that V8 lets go of the text of the file, 1.4 MB in each process.
const { readFileSync } = require('node:fs');
const { Module } = require('node:module');
const { join } = require('node:path');
const { inflateRawSync } = require('node:zlib');

const parts = readParts();
const start = new Module(join(__filename, 'start.cjs'), null);
start._compile(inflateRawSync(parts.get('start.cjs')).latin1Slice(), start.id);
parts.delete('start.cjs');
start.exports(__filename, parts);

/**
 * Each as `NAME:BASE64` and a blank. What is cut out of a string keeps all of it in memory, so nothing is: names and parts are read
 * from bytes.
 */
function readParts() {
  const file = readFileSync(__filename);
  const parts = new Map();
  for (let at = file.lastIndexOf('\n//') + 3, end; at < file.length; at = end + 1) {
    const colon = file.indexOf(':', at);
    end = file.indexOf(' ', colon);
    parts.set(file.latin1Slice(at, colon), Buffer.from(file.latin1Slice(colon + 1, end), 'base64'));
  }
  return parts;
}
