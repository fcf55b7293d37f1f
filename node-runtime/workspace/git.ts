import { devNull } from 'node:os';
import { CiError, isCiError } from '../../shared/errors.ts';
import {
  type ProcessOptions,
  type ProcessResult,
  runProcess,
  type StreamedProcess,
  streamProcess,
} from '../system/subprocess.ts';

export interface GitPlace {
  readonly gitDir: string;
  readonly workTree?: string;
  readonly indexFile?: string;
}

export interface GitCall extends GitPlace {
  readonly config?: Readonly<Record<string, string>>;
  readonly input?: string | Uint8Array;
  /** An open file to read instead of `input`. */
  readonly stdin?: number;
  /** For ignore files: the user's own and the machine's settings count, where `gitDir` and `config` say nothing else. */
  readonly withUserSettings?: boolean;
  readonly timeoutMs?: number;
}

/** The user's own settings that git needs to run: where programs are, and where his home is. */
export type UserEnvironment = Readonly<Partial<Record<string, string>>>;

const PASSED_ON = ['PATH', 'HOME', 'XDG_CONFIG_HOME', 'USERPROFILE', 'SYSTEMROOT', 'TMPDIR', 'TEMP'] as const;
/** Older ones lack GIT_CONFIG_GLOBAL, without which a user's own settings would reach into snapshots. */
const OLDEST: readonly [number, number] = [2, 32];

/**
 * git, kept from everything but what it is told: no system or user settings, no hooks, no questions, no network, and the
 * pathspecs it is given are plain names. Only the repository of `gitDir` has a say, and that is one of our own making.
 */
export class Git {
  readonly #env: UserEnvironment;
  readonly #signal: AbortSignal;

  constructor(env: UserEnvironment, signal: AbortSignal) {
    this.#env = env;
    this.#signal = signal;
  }

  /** Output of a command that must work. */
  async output(call: GitCall, ...args: string[]): Promise<Buffer> {
    const { code, stdout, stderr } = await this.run(call, ...args);
    if (code !== 0) throw new GitError(args, code, stderr);
    return stdout;
  }

  /** Output of a command that must work, as text without the last line end. */
  async text(call: GitCall, ...args: string[]): Promise<string> {
    return (await this.output(call, ...args)).toString().replace(/\n$/, '');
  }

  run(call: GitCall, ...args: string[]): Promise<ProcessResult> {
    return runGit(this.#options(call, args));
  }

  stream(call: GitCall, ...args: string[]): StreamedProcess {
    return streamProcess(this.#options(call, args));
  }

  /** Settings of a config file's text, the last value of each. Included files are not read. */
  async settings(input: Uint8Array): Promise<Map<string, string>> {
    const options = this.#outside(['config', '--file', '-', '--null', '--list']);
    const { code, stdout } = await runGit({ ...options, input });
    const settings = new Map<string, string>();
    if (code !== 0) return settings;
    for (const entry of stdout.toString().split('\0')) {
      const [name, ...value] = entry.split('\n');
      if (name) settings.set(name.toLowerCase(), value.length === 0 ? 'true' : value.join('\n'));
    }
    return settings;
  }

  async checkVersion(): Promise<void> {
    const { stdout } = await this.run({ gitDir: devNull }, 'version');
    const [, major = '0', minor = '0'] = /(\d+)\.(\d+)/.exec(stdout.toString()) ?? [];
    const isOld = Number(major) < OLDEST[0] || (Number(major) === OLDEST[0] && Number(minor) < OLDEST[1]);
    if (isOld)
      throw new CiError(
        'invalid',
        `Cannot take snapshot as git is older than ${OLDEST.join('.')}: ${stdout.toString().trim()}`,
      );
  }

  #options(call: GitCall, args: readonly string[]) {
    const { gitDir, workTree, indexFile, config, input, stdin, timeoutMs, withUserSettings } = call;
    const settings = Object.entries(config ?? {}).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    const options = this.#outside([...settings, ...args]);
    const { GIT_CONFIG_GLOBAL, GIT_CONFIG_NOSYSTEM, ...withTheirs } = options.env;
    return {
      ...options,
      cwd: workTree ?? gitCwd,
      env: {
        ...(withUserSettings ? withTheirs : options.env),
        GIT_DIR: gitDir,
        ...(workTree !== undefined && { GIT_WORK_TREE: workTree }),
        ...(indexFile !== undefined && { GIT_INDEX_FILE: indexFile }),
      },
      ...(input !== undefined && { input }),
      ...(stdin !== undefined && { stdin }),
      ...(timeoutMs !== undefined && { timeoutMs }),
    };
  }

  #outside(args: readonly string[]) {
    const argv: [string, ...string[]] = ['git', '--no-pager', ...args];
    return { argv, cwd: gitCwd, env: gitEnvironment(this.#env), signal: this.#signal };
  }
}

async function runGit(options: ProcessOptions): Promise<ProcessResult> {
  try {
    return await runProcess(options);
  } catch (error) {
    if (isCiError(error, 'not-found')) throw noGit(error);
    throw error;
  }
}

/** A folder that is always there and is no one's workspace. */
const gitCwd = '/';

/** What git sees of the world wherever we run it. */
export function gitEnvironment(user: UserEnvironment): Record<string, string> {
  const env: Record<string, string> = {
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: devNull,
    GIT_ATTR_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_OPTIONAL_LOCKS: '0',
    GIT_ALLOW_PROTOCOL: 'none',
    GIT_NO_LAZY_FETCH: '1',
    GIT_NO_REPLACE_OBJECTS: '1',
    GIT_LITERAL_PATHSPECS: '1',
    // glibc gives memory back after each of 50,000 files, and asks for it again: that was a third of the first snapshot's time.
    MALLOC_TOP_PAD_: '67108864',
    MALLOC_TRIM_THRESHOLD_: '268435456',
  };
  for (const name of PASSED_ON) {
    const value = user[name];
    if (value !== undefined) env[name] = value;
  }
  return env;
}

/** A git command that should have worked did not. */
export class GitError extends Error {
  override readonly name = 'GitError';
  readonly stderr: string;
  constructor(args: readonly string[], code: number, stderr: string) {
    const command = args.find(argument => !argument.startsWith('-')) ?? '';
    super(`git ${command} ended with ${code}: ${stderr.trim().slice(0, 2000)}`);
    this.stderr = stderr;
  }
}

function noGit(cause: CiError): CiError {
  return new CiError(
    'not-found',
    'Cannot take snapshot as there is no git on this machine: install git 2.32 or newer',
    {
      cause,
    },
  );
}
