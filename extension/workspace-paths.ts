import type { NodeView } from '../shared/api.ts';
import type { LogAttemptEvent } from '../shared/log.ts';
import { attemptFolder, BUBBLEWRAP_WORKSPACE, POD_WORKSPACE, WORKSPACE_FOLDER } from '../shared/node-workspace.ts';

/** A path that is longer is not waited for: it is none of ours. Characters. */
const LONGEST_PATH = 4096;
/** What may go on in the next piece: a word, or a path between quotes. */
const UNFINISHED = /(?:['"`]\/[^'"`\n]*|\S*)$/;
/** What cannot be part of a path; in one that is between quotes, a space can. */
const STOP = `\\s:;,'"\`()\\[\\]{}<>`;
const END = `(?=$|[/${STOP}])`;
/** What follows the workspace in a path. */
const REST = `(?<rest>(?:/[^${STOP}]*)?)`;

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
    const cut = all.length - (UNFINISHED.exec(all.slice(-LONGEST_PATH))?.[0].length ?? 0);
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
    if (!this.#inside) return text;
    return text.replace(this.#inside, (_, ...match) => {
      const [at, , { rest }] = match.slice(-3) as [number, string, { rest: string }];
      return text.slice(0, at).endsWith('file://') ? addressOf(this.#root + rest) : this.#root + rest;
    });
  }
}

function addressOf(path: string): string {
  return encodeURI(path).replaceAll('#', '%23').replaceAll('?', '%3F');
}

/** Where it is the same for all tasks. */
const FIXED: Readonly<Record<string, RegExp>> = {
  bubblewrap: wholePath(BUBBLEWRAP_WORKSPACE),
  pod: wholePath(POD_WORKSPACE),
};

/** A path of that name may well be within another. */
function wholePath(path: string): RegExp {
  return new RegExp(`(?<=file://|(?<![\\w./~-]))${path}${END}${REST}`, 'g');
}

/** The name of the attempt’s folder is in no other path. Folders above it may have spaces in their names where quotes tell where it begins. */
function ownFolder(name: string): RegExp {
  const above = `/(?:[^/${STOP}][^${STOP}]{0,${LONGEST_PATH}}/)?`;
  const quoted = `(?<=['"\`])/(?:[^/'"\`\\n][^'"\`\\n]{0,${LONGEST_PATH}}/)?`;
  return new RegExp(`(?:${quoted}|${above})${name}/${WORKSPACE_FOLDER}${END}${REST}`, 'g');
}
