// `npm run bench -- NAME [--json]`: prints a figure and, from the same run, the floor it is held against.
import { parseArgs } from 'node:util';
import { type Bench, formatFigures } from './figures.ts';

const BENCHES: Record<string, () => Promise<{ bench: Bench }>> = {
  dispatch: () => import('./dispatch.ts'),
  throughput: () => import('./throughput.ts'),
  backlog: () => import('./backlog.ts'),
  logs: () => import('./logs.ts'),
  snapshot: () => import('./snapshot.ts'),
  edit: () => import('./edit.ts'),
  startup: () => import('./startup.ts'),
  abuse: () => import('./abuse.ts'),
  binary: () => import('./binary.ts'),
  cost: () => import('./cost.ts'),
  'log-viewer': () => import('./log-viewer.ts'),
  autoscale: () => import('./autoscale.ts'),
};

const { name, json } = readArguments();
const load = BENCHES[name];
if (!load) {
  console.error(`Usage: npm run bench -- NAME [--json], where NAME is one of: ${Object.keys(BENCHES).join(', ')}`);
  process.exitCode = 2;
} else {
  const { bench } = await load();
  const figures = await bench(text => console.error(text));
  const result = { bench: name, figures };
  console.log(json ? JSON.stringify(result) : formatFigures(result));
}

/** Without a name when it was called wrongly. */
function readArguments(): { readonly name: string; readonly json: boolean } {
  try {
    const options = { json: { type: 'boolean', default: false } } as const;
    const { positionals, values } = parseArgs({ allowPositionals: true, options });
    return { name: positionals[0] ?? '', json: values.json };
  } catch {
    return { name: '', json: false };
  }
}
