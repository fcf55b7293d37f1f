import type { NodeView } from '../shared/api.ts';
import type { LogAttemptEvent } from '../shared/log.ts';
import { attemptFolder, BUBBLEWRAP_WORKSPACE, POD_WORKSPACE, WORKSPACE_FOLDER } from '../shared/node-workspace.ts';

/** A path that is longer is not waited for: it is none of ours. Characters. */
const LONGEST_PATH = 4096;
/** What cannot be part of a path: those with spaces in them are not recognised. */
const END = `(?=$|[/\\s:;,'"\`()\\[\\]{}<>])`;

/**
 * Makes absolute paths in a task's workspace on its node those of the same files in the user's: problem matchers of VS Code, and
 * links in terminals, look there. What comes in pieces is put together first, so that no path is overlooked where it was cut.
 */
export class WorkspacePaths {
  readonly #root: string;
  #inside: RegExp | undefined;
  #held = '';

  /** @param root of the workspace that was sent, absolute */
  constructor(root: string) {
    this.#root = root;
  }

  /** What follows is printed by this attempt. */
  begin(task: string, { fence }: LogAttemptEvent, isolation: NodeView['isolation'] | undefined): void {
    this.#inside = FIXED[isolation ?? ''] ?? ownFolder(attemptFolder(task, fence));
  }

  push(text: string): string {
    const all = this.#held + text;
    const cut = all.length - (/[^\s]*$/.exec(all.slice(-LONGEST_PATH))?.[0].length ?? 0);
    const isPath = all.indexOf('/', cut) >= 0 && all.length - cut < LONGEST_PATH;
    this.#held = isPath ? all.slice(cut) : '';
    return this.#mapped(isPath ? all.slice(0, cut) : all);
  }

  /** What was waited with. */
  end(): string {
    const rest = this.#mapped(this.#held);
    this.#held = '';
    return rest;
  }

  #mapped(text: string): string {
    return this.#inside ? text.replace(this.#inside, () => this.#root) : text;
  }
}

/** Where it is the same for all tasks. */
const FIXED: Readonly<Record<string, RegExp>> = {
  bubblewrap: wholePath(BUBBLEWRAP_WORKSPACE),
  pod: wholePath(POD_WORKSPACE),
};

/** A path of that name may well be within another. */
function wholePath(path: string): RegExp {
  return new RegExp(`(?<=file://|(?<![\\w./~-]))${path}${END}`, 'g');
}

/** The name of the attempt's folder is in no other path. */
function ownFolder(name: string): RegExp {
  return new RegExp(
    `/(?:[^\\s:;,'"\`()\\[\\]{}<>/][^\\s:;,'"\`()\\[\\]{}<>]*/)?${name}/${WORKSPACE_FOLDER}${END}`,
    'g',
  );
}
