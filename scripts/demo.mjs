// `npm run demo`: sets everything up, then runs the task of examples/hello on a node of its own, as `simple-ci run` does it.
import { access } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build, bundle } from './build.mjs';
import { runOnPinnedNode } from './run.mjs';
import { orExplain, pinnedNode, setUp } from './setup.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
/** Inside the checkout and ignored by git: the demo leaves nothing in your home folder. */
const data = '.cache/demo';

await orExplain(async () => {
  await setUp({ log: say });
  await build({ log: say });
  heading('Running the task of examples/hello, from your files as they are now');
  const code = await runTask();
  if (code === 0) await explain();
  return code;
});

/** The demo starts nothing before the bundle is there: what you see is the program as it would be installed. */
async function runTask() {
  await access(bundle);
  const argv = [pinnedNode, bundle, 'run', 'hello', '--dir', 'examples/hello', '--data', data];
  // All on one stream, so that what is redirected into a file stands in its order.
  return runOnPinnedNode(argv, { cwd: root, env: environment(), stdio: ['inherit', 1, 1] });
}

/** Hints name the npm script that starts the program in a checkout; a cluster you are logged in to is not meant here. */
function environment() {
  const { SIMPLE_CI_URL: _url, SIMPLE_CI_TOKEN: _token, ...env } = process.env;
  return { ...env, npm_lifecycle_event: 'simple-ci', INIT_CWD: root, XDG_CACHE_HOME: `${root}${data}/cache` };
}

async function explain() {
  heading('What happened');
  say(
    'A node started inside the command, took a snapshot of examples/hello with your uncommitted changes, claimed the',
  );
  say('task, ran its steps, streamed the log, kept one file and wrote down the result. The same command does it on a');
  say('cluster, once you are logged in to one.');
  heading('What to try next');
  say('  Change a file in examples/hello and run it again:  npm run demo');
  say('  A command of your own, in any folder:              npm run simple-ci -- run --dir ~/project -- make test');
  say('  A node that stays:                                 npm run simple-ci -- node --cluster local');
  say('  All commands:                                      npm run simple-ci -- help');
}

function heading(text) {
  say('');
  say(process.stdout.hasColors?.() ? `\u001b[1m${text}\u001b[22m` : text);
  say('');
}

function say(text) {
  console.log(text);
}
