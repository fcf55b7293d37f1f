// Run by the Node that the executable is made of: `compile-parts.mjs FOLDER` writes beside each part what V8 makes of it.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Script } from 'node:vm';

const [folder] = process.argv.slice(2);
for (const name of readdirSync(folder).filter(name => name.endsWith('.js'))) {
  const file = join(folder, name);
  const script = new Script(readFileSync(file, 'latin1'), { filename: `simple-ci/${name}` });
  writeFileSync(`${file}.code`, script.createCachedData());
}
