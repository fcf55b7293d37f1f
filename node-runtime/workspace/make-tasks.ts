import type { Workspace } from './find-workspace.ts';
import { shellCommand } from './shell-quote.ts';
import { inFolder, nearbyFile, oneLine, type WorkspaceTask } from './workspace-task.ts';

/** The order in which GNU make looks for them. */
const MAKEFILES = ['GNUmakefile', 'makefile', 'Makefile'];

/** The plain targets of a Makefile: no patterns, no special ones, none whose names are made by variables or included files. */
export async function makeTasks(workspace: Workspace): Promise<WorkspaceTask[]> {
  const file = await nearbyFile(workspace, MAKEFILES);
  if (!file) return [];
  return [...makeTargets(file.text)].map(([name, comment]) => ({
    name,
    from: 'Makefile',
    description: oneLine(comment) || `make ${name}`,
    body: () => ({ name, steps: [{ run: shellCommand(['make', name]), shell: 'sh' }], ...inFolder(file.folder) }),
  }));
}

const RULE = /^([^\s#:=$%.][^#:=$%\t]*?)\s*::?(?![:=])([^#]*)(?:##+\s*(.*)|#.*)?$/;

/** Targets, with what a `##` comment on their line says. */
export function makeTargets(text: string): Map<string, string> {
  const targets = new Map<string, string>();
  let isDefinition = false;
  for (const line of text.replaceAll(/\\\r?\n/g, ' ').split(/\r?\n/)) {
    if (/^\s*define\b/.test(line)) isDefinition = true;
    else if (/^\s*endef\b/.test(line)) isDefinition = false;
    const [, names = '', rest = '', comment = ''] = isDefinition ? [] : (RULE.exec(line) ?? []);
    // `target: NAME = value` sets a variable for a target that has its rule elsewhere.
    if (/^\s*\w+\s*[:?+]?=/.test(rest)) continue;
    for (const name of names.split(/\s+/).filter(Boolean)) targets.set(name, targets.get(name) || comment);
  }
  return targets;
}
