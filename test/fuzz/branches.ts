import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';
import { countBranches } from './count-branches.ts';

/** The product, what reads for it, and what shows that this works. */
const FOLLOWED =
  /^(?:shared|node-runtime|extension|node_modules\/(?:yaml|zod))\/.*\.[cm]?[jt]s$|\/planted-mistake\.ts$/;
const root = new URL('../../', import.meta.url).href;
const MOST_BRANCHES = 2 ** 17;
/** Once, twice, thrice, 4, 8, 16, 32 and 128 times are told apart, a bit for each: how often is news, but not exactly how often. */
const LOUDNESS = Uint8Array.from({ length: 256 }, (_, count) =>
  count < 4 ? (1 << count) >> 1 : count < 128 ? 1 << Math.min(6, Math.floor(Math.log2(count)) + 1) : 128,
);

interface FollowedFile {
  readonly first: number;
  readonly end: number;
  readonly words: readonly (string | number)[];
}

const entered = new Uint8ClampedArray(MOST_BRANCHES);
const files: FollowedFile[] = [];
let branches = 0;

/** From now on each module of the product that is loaded counts which of its branches are entered. To be called before any of them is. */
export function followBranches(): void {
  (globalThis as unknown as { entered: Uint8ClampedArray }).entered = entered;
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      if (!url.startsWith(root) || !FOLLOWED.test(url.slice(root.length))) return loaded;
      return { ...loaded, source: followed(url) };
    },
  });
}

function followed(url: string): string {
  const file = fileURLToPath(url);
  const first = branches;
  const counted = countBranches(file, readFileSync(file, 'utf8'), at => `entered[${first + at}]++`);
  branches += counted.branches;
  if (branches > MOST_BRANCHES) throw new Error(`Cannot follow ${file} as there are too many branches: ${branches}`);
  files.push({ first, end: branches, words: counted.words });
  return counted.text;
}

/** Which branches were entered by what was run, one input after the other. */
export class ReachedBranches {
  readonly #seen = new Uint8Array(MOST_BRANCHES);

  /** Forgets what was entered so far, by whomever. */
  begin(): void {
    entered.fill(0, 0, branches);
  }

  /** Whether anything was entered since `begin` that never was before, or not as often. */
  end(): boolean {
    let isNew = false;
    for (let at = 0; at < branches; at++) {
      const times = LOUDNESS[entered[at]!]!;
      if ((this.#seen[at]! & times) === times) continue;
      this.#seen[at]! |= times;
      isNew = true;
    }
    return isNew;
  }

  /** As if what the other has reached had been reached here. */
  add(other: ReachedBranches): this {
    for (let at = 0; at < branches; at++) this.#seen[at]! |= other.#seen[at]!;
    return this;
  }

  get count(): number {
    return this.#seen.reduce((sum, seen) => sum + Math.sign(seen), 0);
  }

  /** The words of the files that were reached. */
  words(): (string | number)[] {
    const reached = files.filter(({ first, end }) => this.#seen.subarray(first, end).some(seen => seen > 0));
    return [...new Set(reached.flatMap(({ words }) => words))];
  }
}
