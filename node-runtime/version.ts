import manifest from '../package.json' with { type: 'json' };

/** What the program was built from; all null for the source, which runs without being built. */
interface Build {
  /** Null where there was no repository either. */
  readonly commit: string | null;
  /** The date of that commit, so that two builds of it are the same. */
  readonly built: string | null;
  /** Whether files differed from the commit. */
  readonly modified: boolean | null;
}

/** Put here by scripts/bundle-options.mjs. */
declare const SIMPLE_CI_BUILD: Build;

/** The release this is, such as `0.1.0`. */
export const VERSION: string = manifest.version;

export const BUILD: Build =
  typeof SIMPLE_CI_BUILD === 'undefined' ? { commit: null, built: null, modified: null } : SIMPLE_CI_BUILD;
