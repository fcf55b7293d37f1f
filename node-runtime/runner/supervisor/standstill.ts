/** When a sandbox has stood still: times that none of its limits counts. */
export class Standstill {
  readonly #spans: { readonly from: number; to: number }[] = [];

  begin(at: number): void {
    this.#spans.push({ from: at, to: Number.POSITIVE_INFINITY });
  }

  end(at: number): void {
    const last = this.#spans.at(-1);
    if (last) last.to = Math.min(last.to, at);
  }

  /** How many milliseconds of it lie between two moments. */
  between(from: number, to: number): number {
    return this.#spans.reduce((sum, span) => sum + Math.max(0, Math.min(to, span.to) - Math.max(from, span.from)), 0);
  }
}
