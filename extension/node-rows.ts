import { count, formatAge } from '../shared/amounts.ts';
import type { NodeView, TaskSummary } from '../shared/api.ts';
import { noteRow, taskRow } from './task-rows.ts';
import type { Row } from './row.ts';

/** The nodes by name, each with what it runs. */
export function nodeRows(nodes: Iterable<NodeView>, tasks: Iterable<TaskSummary>): Row[] {
  const running = runningBy(tasks);
  return [...nodes]
    .sort((a, b) => a.node.localeCompare(b.node))
    .map(node => nodeRow(node, running.get(node.node)?.length ?? 0));
}

export function nodeChildren(node: string, tasks: Iterable<TaskSummary>, now: number): Row[] {
  const own = (runningBy(tasks).get(node) ?? []).map(task => taskRow(task, now));
  return own.map(row => ({ ...row, id: `node:${node}/${row.id}`, expandable: false }));
}

/** What a tooltip says. */
export function nodeDetails(node: NodeView, now: number): string[] {
  return [
    `Address: ${node.address}`,
    `Slots: ${node.slots}`,
    `Labels: ${node.labels.join(', ') || 'none'}`,
    `Isolation: ${node.isolation}`,
    `Version: ${node.version}`,
    `Started: ${formatAge(node.started, now)}`,
  ];
}

export function emptyRow(text: string): Row {
  return noteRow('', 'empty', text);
}

function nodeRow({ node, slots, labels, draining }: NodeView, busy: number): Row {
  const slotsText = slots === 0 ? 'runs no tasks' : `${busy} of ${count(slots, 'slot')} busy`;
  const parts = [...(draining ? ['draining'] : []), slotsText, ...labels];
  return {
    id: `node:${node}`,
    label: node,
    description: parts.join(' · '),
    icon: draining
      ? { name: 'debug-pause', color: 'problemsWarningIcon.foreground' }
      : { name: 'server', color: busy > 0 ? 'charts.blue' : 'testing.iconPassed' },
    kind: 'node',
    expandable: busy > 0,
    spoken: `Node ${node}, ${parts.join(', ')}`,
  };
}

function runningBy(tasks: Iterable<TaskSummary>): Map<string, TaskSummary[]> {
  const running = [...tasks].filter(({ state, node }) => state === 'running' && node !== undefined);
  return Map.groupBy(running, ({ node }) => node!);
}
