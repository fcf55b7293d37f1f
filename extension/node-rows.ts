import * as l10n from '@vscode/l10n';
import { count, formatAge } from '../shared/amounts.ts';
import type { NodeView, TaskSummary } from '../shared/api.ts';
import { noteRow, taskRow } from './task-rows.ts';
import type { Row } from './row.ts';

/** The nodes by name, each with what it runs. */
export function nodeRows(nodes: Iterable<NodeView>, tasks: Iterable<TaskSummary>): Row[] {
  const running = runningBy(tasks);
  return [...nodes]
    .sort((a, b) => a.node.localeCompare(b.node))
    .map(node => nodeRow(node, running.get(node.node) ?? []));
}

export function nodeChildren(node: string, tasks: Iterable<TaskSummary>, now: number): Row[] {
  const own = (runningBy(tasks).get(node) ?? []).map(task => taskRow(task, now));
  return own.map(row => ({ ...row, id: `node:${node}/${row.id}`, expandable: false }));
}

/** What a tooltip says. */
export function nodeDetails(node: NodeView, now: number): string[] {
  return [
    l10n.t`Address: ${node.address}`,
    l10n.t`Slots: ${node.slots}`,
    l10n.t('Labels: {0}', node.labels.join(', ') || l10n.t('none')),
    l10n.t`Isolation: ${node.isolation}`,
    l10n.t`Version: ${node.version}`,
    l10n.t('Started: {0}', formatAge(node.started, now)),
  ];
}

export function emptyRow(text: string): Row {
  return noteRow('', 'empty', text);
}

function nodeRow({ node, slots, labels, draining }: NodeView, running: readonly TaskSummary[]): Row {
  const busy = running.reduce((sum, task) => sum + (task.slots ?? 1), 0);
  const slotsText =
    slots === 0
      ? l10n.t('runs no tasks')
      : l10n.t('{0} of {1} busy', busy, count(slots, l10n.t('slot'), l10n.t('slots')));
  const parts = [...(draining ? [l10n.t('draining')] : []), slotsText, ...labels];
  return {
    id: `node:${node}`,
    label: node,
    description: parts.join(' · '),
    icon: draining
      ? { name: 'debug-pause', color: 'problemsWarningIcon.foreground' }
      : { name: 'server', color: busy > 0 ? 'charts.blue' : 'testing.iconPassed' },
    kind: 'node',
    expandable: running.length > 0,
    spoken: l10n.t('Node {0}, {1}', node, parts.join(', ')),
  };
}

function runningBy(tasks: Iterable<TaskSummary>): Map<string, TaskSummary[]> {
  const running = [...tasks].filter(({ state, node }) => state === 'running' && node !== undefined);
  return Map.groupBy(running, ({ node }) => node!);
}
