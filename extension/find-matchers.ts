import * as vscode from 'vscode';
import { describeError } from '../shared/errors.ts';
import { type NamedMatchers, parseMatcher } from './parse-matcher.ts';
import type { ProblemMatcher } from './problem-matcher.ts';
import { problemMatchers } from './settings.ts';
import type { Submitted } from './submit-workspace.ts';

/** Names of VS Code and its extensions for what is understood in any log. */
const UNDERSTOOD = /^\$(?:gcc|tsc(?:-watch)?|eslint-(?:compact|stylish)|go|rustc(?:-\w+)?|python|javac)$/;

/** VS Code does not tell of those that it has itself: this one others have no like of. */
const OWN: Readonly<Record<string, unknown>> = {
  msCompile: {
    owner: 'msCompile',
    pattern: {
      regexp:
        '^\\s*(?:\\d+>)?(\\S[^(:]*(?::[^(:]*)?)\\((\\d+(?:,\\d+){0,3})\\)\\s*:\\s+(?:[\\w ]+ )?(error|warning|info)\\s+(\\w+\\d+)?\\s*:\\s*(.*)$',
      file: 1,
      location: 2,
      severity: 3,
      code: 4,
      message: 5,
    },
  },
};

/** A matcher, as somebody wrote it. */
interface WrittenMatcher {
  readonly value: unknown;
  readonly where: string;
}

/** The matchers that a task's log is looked through with, besides what is understood anyway; and what is wrong with others. */
export function findMatchers(submitted: Submitted): { matchers: ProblemMatcher[]; wrong: string[] } {
  const named = namedMatchers();
  const matchers: ProblemMatcher[] = [];
  const wrong: string[] = [];
  for (const { value, where } of [...ofSettings(), ...ofTasksFile(submitted)]) {
    if (typeof value === 'string' && UNDERSTOOD.test(value)) continue;
    try {
      matchers.push(parseMatcher(value, where, named));
    } catch (error) {
      wrong.push(describeError(error));
    }
  }
  return { matchers, wrong };
}

function ofSettings(): WrittenMatcher[] {
  const where = (at: number) => `problem matcher ${at + 1} of the setting simple-ci.problemMatchers`;
  return listOf(problemMatchers()).map((value, at) => ({ value, where: where(at) }));
}

/** Those that .vscode/tasks.json names for the task of this name. What VS Code runs itself, it looks through itself. */
function ofTasksFile({ name, root }: Submitted): WrittenMatcher[] {
  const file = vscode.workspace.getConfiguration('tasks', vscode.Uri.file(root));
  const tasks = listOf(file.get('tasks')).filter(isRecord);
  const task = tasks.find(({ label, type }) => label === name && type !== 'simple-ci');
  if (!task) return [];
  const where = (at: number) => `problem matcher ${at + 1} of task "${name}" in .vscode/tasks.json`;
  return listOf(task.problemMatcher ?? file.get('problemMatcher')).map((value, at) => ({ value, where: where(at) }));
}

/** What extensions contribute is in their manifests. */
function namedMatchers(): NamedMatchers {
  const contributed = (kind: string) =>
    vscode.extensions.all
      .flatMap(({ packageJSON }) => listOf(packageJSON?.contributes?.[kind]))
      .filter(isRecord)
      .flatMap(one => (typeof one.name === 'string' ? [[one.name, one] as const] : []));
  return {
    matchers: new Map([...Object.entries(OWN), ...contributed('problemMatchers')]),
    patterns: new Map(contributed('problemPatterns')),
  };
}

function listOf(value: unknown): readonly unknown[] {
  return value === undefined || value === null ? [] : Array.isArray(value) ? value : [value];
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
