import type { CliDependencies } from '../../node-runtime/cli/run-cli.ts';
import { runCli } from '../../node-runtime/cli/run-cli.ts';
import type { Interrupts } from '../../node-runtime/cli/interrupts.ts';
import { Interrupted } from '../../node-runtime/cli/interrupts.ts';
import { makeStyle } from '../../node-runtime/cli/style.ts';
import { OutputClosed, type Terminal } from '../../node-runtime/cli/terminal.ts';
import type { Finding } from '../../node-runtime/system/finding.ts';
import { systemChance } from '../../node-runtime/system/chance.ts';
import { systemClock } from '../../node-runtime/system/clock.ts';

export interface CliRun {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  /** Standard output as JSON, a value for each line. */
  readonly json: Record<string, unknown>[];
}

export interface CliSetting {
  readonly env?: Readonly<Record<string, string>>;
  readonly folder?: string;
  /** Where logins, data and caches go. */
  readonly home?: string;
  readonly input?: string;
  /** What a person answers, one question after the other; absent: there is nobody to ask. */
  readonly answers?: string[];
  readonly columns?: number;
  readonly rows?: number;
  readonly colours?: boolean;
  readonly isolation?: readonly Finding[];
  readonly startNode?: CliDependencies['startNode'];
}

/** The command line in this process, with a terminal that is only looked at. */
export class TestCli {
  readonly #setting: CliSetting;
  readonly #closed = new AbortController();
  readonly #interrupts = new TestInterrupts();
  out = '';
  err = '';

  constructor(setting: CliSetting = {}) {
    this.#setting = setting;
  }

  async run(...argv: string[]): Promise<CliRun> {
    const { env = {}, folder = '/', home = '/nowhere' } = this.#setting;
    const environment = {
      variables: env,
      folder,
      configFolder: `${home}/config`,
      dataFolder: `${home}/data`,
      cacheFolder: `${home}/cache`,
      program: 'simple-ci',
    };
    const code = await runCli(argv, {
      version: '1.2.3',
      build: { commit: 'c0ffee', built: '2026-11-27T18:00:00.000Z', modified: false, isExecutable: false },
      environment,
      terminal: this.#terminal(),
      interrupts: this.#interrupts,
      clock: systemClock,
      chance: systemChance,
      supervisorCommand: ['false'],
      diagnoseIsolation: async () => this.#setting.isolation ?? [],
      startMetricsAdapter: () => Promise.reject(new Error('No metrics adapter is to be started here')),
      startNode: this.#setting.startNode ?? (() => Promise.reject(new Error('No node is to be started here'))),
    });
    return { code, out: this.out, err: this.err, json: jsonLines(this.out) };
  }

  /** Ctrl-C. */
  interrupt(): void {
    this.#interrupts.interrupt();
  }

  /** Nobody reads on. */
  closeOutput(): void {
    this.#closed.abort(new OutputClosed('Closed'));
  }

  #terminal(): Terminal {
    const { input = '', answers, columns, rows, colours = false } = this.#setting;
    const style = makeStyle(colours);
    const print = (text: string) => {
      if (!this.#closed.signal.aborted) this.out += text;
    };
    return {
      print: line => print(`${line}\n`),
      write: async bytes => print(typeof bytes === 'string' ? bytes : Buffer.from(bytes).toString('latin1')),
      say: line => {
        this.err += `${line}\n`;
      },
      status: () => undefined,
      style,
      sayStyle: style,
      hasColours: colours,
      columns,
      rows,
      showsStatus: false,
      canAsk: answers !== undefined,
      ask: async question => {
        this.err += question;
        return answers?.shift() ?? '';
      },
      readInput: async () => input,
      closed: this.#closed.signal,
      flush: async () => undefined,
    };
  }
}

/** One run with nothing to do on the way. */
export function cli(argv: readonly string[], setting: CliSetting = {}): Promise<CliRun> {
  return new TestCli(setting).run(...argv);
}

class TestInterrupts implements Interrupts {
  readonly #controller = new AbortController();
  readonly #handlers: { handle: (howMany: number) => void; seen: number }[] = [];

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  take(handle: (howMany: number) => void): Disposable {
    const taken = { handle, seen: 0 };
    this.#handlers.push(taken);
    return { [Symbol.dispose]: () => void this.#handlers.splice(this.#handlers.indexOf(taken), 1) };
  }

  interrupt(): void {
    const taken = this.#handlers.at(-1);
    if (taken) taken.handle(++taken.seen);
    else this.#controller.abort(new Interrupted('Interrupted'));
  }
}

function jsonLines(text: string): Record<string, unknown>[] {
  return text.split('\n').flatMap(line => {
    try {
      return [JSON.parse(line) as Record<string, unknown>];
    } catch {
      return [];
    }
  });
}
