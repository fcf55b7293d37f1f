/** An amount as Kubernetes writes it: 500m, 2, 4Gi. */
export const QUANTITY = /^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$/;

const FACTORS: Readonly<Record<string, number>> = {
  ...{ m: 1e-3, k: 1e3, M: 1e6, G: 1e9, T: 1e12, P: 1e15 },
  ...{ Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40, Pi: 2 ** 50 },
};

export function bytesOf(quantity: string): number {
  return Math.floor(Number.parseFloat(quantity) * (FACTORS[unitOf(quantity)] ?? 1));
}

/** So many times as much. */
export function times(quantity: string, factor: number): string {
  return `${Number((Number.parseFloat(quantity) * factor).toFixed(6))}${unitOf(quantity)}`;
}

function unitOf(quantity: string): string {
  return quantity.replace(/^[0-9.]+/, '');
}
