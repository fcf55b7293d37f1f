/** What a member tells of itself as metrics, in Prometheus' text. Counts are those since it was started. */
export class EtcdMetrics {
  readonly #values = new Map<string, number>();

  constructor(text: string) {
    for (const line of text.split('\n')) {
      const space = line.lastIndexOf(' ');
      if (space > 0 && !line.startsWith('#')) this.#values.set(line.slice(0, space), Number(line.slice(space + 1)));
    }
  }

  /** Undefined when this release does not tell it. */
  value(name: string): number | undefined {
    return this.#values.get(name);
  }

  /** Milliseconds within which this share of what a histogram of seconds counts was done: the upper end of a bucket. */
  within(name: string, share: number): number | undefined {
    const count = this.value(`${name}_count`);
    if (!count) return undefined;
    const start = `${name}_bucket{le="`;
    const buckets = [...this.#values].filter(([key]) => key.startsWith(start));
    const bound = buckets.find(([, counted]) => counted >= share * count)?.[0].slice(start.length, -2);
    return bound === undefined ? undefined : Number(bound.replace('+Inf', 'Infinity')) * 1000;
  }
}
