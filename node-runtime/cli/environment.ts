import { join } from 'node:path';
import { homeFolder } from '../system/home-folder.ts';

/** What the program takes from the process around it. */
export interface Environment {
  readonly variables: Readonly<Record<string, string | undefined>>;
  /** Where the program was started: relative paths of the command line begin here. */
  readonly folder: string;
  /** For what people set up, such as logins. */
  readonly configFolder: string;
  /** For what nodes keep: the embedded store and caches. */
  readonly dataFolder: string;
  /** For what can be made again: what is remembered of workspaces. */
  readonly cacheFolder: string;
  /** How to call this program again, as it is written in hints. */
  readonly program: string;
}

/** The only place that reads `process.env`. */
export function readVariables(): Environment['variables'] {
  return { ...process.env };
}

/** Folders are those of the XDG base directory specification, on every system. */
export function readEnvironment(): Environment {
  const variables = readVariables();
  const folderOf = (variable: string, otherwise: string[]) =>
    join(variables[variable] || join(homeFolder(), ...otherwise), 'simple-ci');
  return {
    variables,
    folder: startFolder(variables),
    configFolder: folderOf('XDG_CONFIG_HOME', ['.config']),
    dataFolder: folderOf('XDG_DATA_HOME', ['.local', 'share']),
    cacheFolder: folderOf('XDG_CACHE_HOME', ['.cache']),
    program: programName(variables),
  };
}

/** In a checkout people start it by the npm script of that name. */
function programName(variables: Environment['variables']): string {
  return isNpmScript(variables) ? 'npm run simple-ci --' : 'simple-ci';
}

/** npm starts scripts in the folder of package.json, and tells where its user is. */
function startFolder(variables: Environment['variables']): string {
  return (isNpmScript(variables) && variables.INIT_CWD) || process.cwd();
}

function isNpmScript(variables: Environment['variables']): boolean {
  return variables.npm_lifecycle_event === 'simple-ci';
}

/** NO_COLOR forbids colours, FORCE_COLOR demands them, else a terminal that is not dumb gets them. */
export function wantsColours(variables: Environment['variables'], isTerminal: boolean): boolean {
  if (variables.NO_COLOR) return false;
  const forced = variables.FORCE_COLOR;
  if (forced !== undefined) return forced !== '0' && forced !== 'false';
  return isTerminal && variables.TERM !== 'dumb';
}
