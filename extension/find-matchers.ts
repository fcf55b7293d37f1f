import * as l10n from '@vscode/l10n';
import { describeError } from '../shared/errors.ts';
import { parseMatcher } from './parse-matcher.ts';
import type { ProblemMatcher } from './problem-matcher.ts';

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

/** What matchers are made of, as somebody wrote it. */
export interface MatcherSources {
  /** Of the setting `simple-ci.problemMatchers`. */
  readonly settings: unknown;
  /** The `tasks` of .vscode/tasks.json, and its `problemMatcher` for all of them. */
  readonly tasks: unknown;
  readonly problemMatcher: unknown;
  /** What extensions contribute. */
  readonly matchers: readonly unknown[];
  readonly patterns: readonly unknown[];
}

/** A matcher, as somebody wrote it. */
interface WrittenMatcher {
  readonly value: unknown;
  readonly where: string;
}

/** The matchers that the log of the task of this name is looked through with, besides what is understood anyway; and what is wrong with others. */
export function findMatchers(name: string, sources: MatcherSources): { matchers: ProblemMatcher[]; wrong: string[] } {
  const named = {
    matchers: new Map([...Object.entries(OWN), ...byName(sources.matchers)]),
    patterns: byName(sources.patterns),
  };
  const matchers: ProblemMatcher[] = [];
  const wrong: string[] = [];
  for (const { value, where } of [...ofSettings(sources), ...ofTasksFile(name, sources)]) {
    if (typeof value === 'string' && UNDERSTOOD.test(value)) continue;
    try {
      matchers.push(parseMatcher(value, where, named));
    } catch (error) {
      wrong.push(describeError(error));
    }
  }
  return { matchers, wrong };
}

function ofSettings({ settings }: MatcherSources): WrittenMatcher[] {
  const where = (at: number) => l10n.t('problem matcher {0} of the setting simple-ci.problemMatchers', at + 1);
  return listOf(settings).map((value, at) => ({ value, where: where(at) }));
}

/** Those that .vscode/tasks.json names for the task. What VS Code runs itself, it looks through itself. */
function ofTasksFile(name: string, { tasks, problemMatcher }: MatcherSources): WrittenMatcher[] {
  const task = listOf(tasks)
    .filter(isRecord)
    .find(({ label, type }) => label === name && type !== 'simple-ci');
  if (!task) return [];
  const where = (at: number) => l10n.t('problem matcher {0} of task "{1}" in .vscode/tasks.json', at + 1, name);
  return listOf(task.problemMatcher ?? problemMatcher).map((value, at) => ({ value, where: where(at) }));
}

function byName(written: readonly unknown[]): Map<string, unknown> {
  return new Map(written.filter(isRecord).flatMap(one => (typeof one.name === 'string' ? [[one.name, one]] : [])));
}

function listOf(value: unknown): readonly unknown[] {
  return value === undefined || value === null ? [] : Array.isArray(value) ? value : [value];
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
