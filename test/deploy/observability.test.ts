import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { parser } from '@prometheus-io/lezer-promql';
import { parse } from 'yaml';
import { createMetrics } from '../../node-runtime/system/metrics.ts';

const read = (name: string) =>
  readFileSync(new URL(`../../deploy/helm/simple-ci/observability/${name}`, import.meta.url), 'utf8');

const { registry } = createMetrics({
  version: '',
  node: '',
  slots: { total: 0, used: 0 },
  leaseAgeMs: () => undefined,
  claimPauseMs: () => 0,
  logLagMs: () => 0,
  demand: async () => new Map(),
});

interface Known {
  readonly labels: ReadonlySet<string>;
}

/** What a node serves, by the names that Prometheus has for it. Beside the metric's own labels there are those of the scrape. */
const KNOWN = new Map<string, Known>();
for (const metric of registry.getMetricsAsArray() as unknown as {
  name: string;
  type: string;
  labelNames: string[];
}[]) {
  const names = String(metric.type) === 'histogram' ? ['_bucket', '_sum', '_count'] : [''];
  for (const suffix of names)
    KNOWN.set(`${metric.name}${suffix}`, { labels: new Set([...metric.labelNames, 'job', 'instance', 'le']) });
}

/** What is wrong with a query: its grammar, a metric that no node serves, a label that it does not have. */
function problemsOf(query: string): string[] {
  const text = query.replaceAll('$__rate_interval', '5m').replaceAll('$job', '.*');
  const found: string[] = [];
  let metric = '';
  parser.parse(text).iterate({
    enter: node => {
      const part = text.slice(node.from, node.to);
      if (node.type.isError) found.push(`cannot be read at ${node.from}: ${text}`);
      if (node.name === 'Identifier' && node.node.parent?.name === 'VectorSelector') {
        metric = part;
        if (!KNOWN.has(part)) found.push(`no node serves ${part}`);
      }
      if (node.name === 'LabelName' && node.node.parent?.name === 'UnquotedLabelMatcher')
        if (!KNOWN.get(metric)?.labels.has(part)) found.push(`${metric} has no label ${part}`);
    },
  });
  return found;
}

test('a query that is wrong is found out', () => {
  assert.deepEqual(problemsOf('sum(rate(simple_ci_tasks_claimed_total[5m]))'), []);
  assert.match(problemsOf('sum(rate(simple_ci_tasks_claimed_total[5m])')[0]!, /cannot be read/);
  assert.deepEqual(problemsOf('simple_ci_tasks'), ['no node serves simple_ci_tasks']);
  assert.deepEqual(problemsOf('simple_ci_demand{queue="a"}'), ['simple_ci_demand has no label queue']);
});

describe('the dashboard', () => {
  interface Panel {
    readonly id: number;
    readonly title: string;
    readonly type: string;
    readonly gridPos: { x: number; y: number; w: number; h: number };
    readonly targets?: readonly { readonly expr: string }[];
  }
  const { panels } = JSON.parse(read('dashboard.json')) as { panels: Panel[] };

  test('asks only for what nodes serve', () => {
    const problems = panels.flatMap(({ title, targets = [] }) =>
      targets.flatMap(({ expr }) => problemsOf(expr).map(problem => `${title}: ${problem}`)),
    );
    assert.deepEqual(problems, []);
  });

  test('has no panel over another', () => {
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`),
    );
    assert.equal(new Set(cells).size, cells.length);
    assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
  });

  test('shows every metric of ours but what is the name of a node', () => {
    const asked = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)).join('\n');
    const silent = [...registry.getMetricsAsArray()]
      .map(({ name }) => name)
      .filter(name => name.startsWith('simple_ci_') && !asked.includes(name));
    assert.deepEqual(silent, []);
  });
});

describe('the alerts', () => {
  interface Rule {
    readonly alert: string;
    readonly expr: string;
    readonly for: string;
    readonly labels: { readonly severity: string };
    readonly annotations: { readonly summary: string; readonly description: string };
  }
  const rules = (parse(read('alerts.yaml')) as { groups: { rules: Rule[] }[] }).groups.flatMap(group => group.rules);

  test('ask only for what nodes serve', () => {
    assert.ok(rules.length > 10);
    assert.deepEqual(
      rules.flatMap(({ alert, expr }) => problemsOf(expr).map(problem => `${alert}: ${problem}`)),
      [],
    );
  });

  test('wait before they cry, and say what is wrong and what to look at', () => {
    for (const { alert, labels, annotations, for: wait } of rules) {
      assert.match(wait, /^\d+m$/, alert);
      assert.match(labels.severity, /^(critical|warning|info)$/, alert);
      assert.ok(annotations.summary.length > 10 && annotations.description.length > 20, alert);
    }
    assert.equal(new Set(rules.map(({ alert }) => alert)).size, rules.length);
  });
});
