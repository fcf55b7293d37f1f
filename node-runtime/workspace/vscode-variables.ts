import { basename } from 'node:path';
import { normalize } from 'node:path/posix';
import { CiError } from '../../shared/errors.ts';
import { quote } from '../../shared/ids.ts';
import { shellQuote } from './shell-quote.ts';

const VARIABLE = /\$\{([^}]*)\}/g;
/** Where the workspace is on the node; the step's shell puts it in. */
const WORKSPACE = `$\{SIMPLE_CI_WORKSPACE}`;

/** Text for a shell, as it stands, with VS Code's variables put in. */
export function fillIn(label: string, root: string, text: string): string {
  return text.replace(VARIABLE, (_, name: string) => {
    const value = variableOf(label, root, name);
    return typeof value === 'string' ? value : value.shell;
  });
}

/**
 * One word of a command line. `shell`: a word without spaces is left to the shell, as VS Code does; `exact`: nothing in it
 * means anything to the shell.
 */
export function wordOf(label: string, root: string, word: unknown, how: 'shell' | 'exact'): string {
  if (typeof word === 'string')
    return how === 'shell' && !/\s/.test(word.replace(VARIABLE, ''))
      ? fillIn(label, root, word)
      : strong(label, root, word);
  const { value, quoting } = (word ?? {}) as { value?: unknown; quoting?: unknown };
  const text = Array.isArray(value) ? value.join(' ') : value;
  if (typeof text !== 'string') throw cannotUse(label, `a command or argument that is no text: ${quote(word)}`);
  if (how === 'exact' || quoting === 'strong') return strong(label, root, text);
  if (quoting === 'weak') return `"${fillIn(label, root, text.replace(/["\\]/g, '\\$&'))}"`;
  return fillIn(label, root, text.replace(/\s/g, '\\$&'));
}

/** The folder of `options.cwd`, relative to the workspace. */
export function relativeFolder(label: string, cwd: unknown): string {
  if (typeof cwd !== 'string') throw cannotUse(label, `a working directory that is no text: ${quote(cwd)}`);
  const path = normalize(cwd.replace(/^\$\{(workspaceFolder|workspaceRoot|cwd)\}\/*/, '') || '.').replace(/\/$/, '');
  if (path.startsWith('/') || path.startsWith('..') || path.includes('${'))
    throw cannotUse(label, `a working directory that is not inside the workspace: ${quote(cwd)}`);
  return path === '.' ? '' : path;
}

/** Quoted, with what only the shell knows between the quoted parts. */
function strong(label: string, root: string, text: string): string {
  const parts: string[] = [];
  let at = 0;
  for (const match of text.matchAll(VARIABLE)) {
    const value = variableOf(label, root, match[1]!);
    parts.push(literal(text.slice(at, match.index)));
    parts.push(typeof value === 'string' ? literal(value) : `"${value.shell}"`);
    at = match.index + match[0].length;
  }
  parts.push(literal(text.slice(at)));
  return parts.join('') || "''";
}

function literal(text: string): string {
  return text === '' ? '' : shellQuote(text);
}

/** A text known here, or an expression that the shell on the node must evaluate. */
function variableOf(label: string, root: string, name: string): string | { shell: string } {
  switch (name) {
    case 'workspaceFolder':
    case 'workspaceRoot':
    case 'cwd':
      return { shell: WORKSPACE };
    case 'userHome':
      return { shell: `$\{HOME}` };
    case 'workspaceFolderBasename':
      return basename(root);
    case 'pathSeparator':
    case '/':
      return '/';
    default:
      throw cannotUse(label, `a variable that only VS Code knows: \${${name}}`);
  }
}

function cannotUse(label: string, what: string): CiError {
  return new CiError('invalid', `Cannot run task ${quote(label)} of .vscode/tasks.json as it has ${what}`);
}
