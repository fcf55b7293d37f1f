/** A node of the pool that is scaled. */
export interface ScaledNode {
  readonly node: string;
  /** It claims nothing more. */
  readonly isDraining: boolean;
  /** It is asked to retire. */
  readonly isAsked: boolean;
  readonly isIdle: boolean;
  /** Milliseconds since 1970. */
  readonly started: number;
}

export interface ScaleView {
  /** How many nodes the demand asks for, within the bounds. */
  readonly wanted: number;
  /** The most it has asked for of late. */
  readonly recent: number;
  /** How many pods the Deployment is to have. */
  readonly replicas: number;
  readonly max: number;
  readonly nodes: readonly ScaledNode[];
}

export type ScaleStep =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'replicas'; readonly replicas: number }
  /** To be asked to claim nothing more. */
  | { readonly kind: 'retire'; readonly nodes: readonly string[] }
  /** Asked before, and needed after all. */
  | { readonly kind: 'keep'; readonly nodes: readonly string[] };

const NOTHING: ScaleStep = { kind: 'nothing' };

/**
 * What to do next so that there are as many nodes as are asked for. More are made at once. Fewer only when fewer have been enough for a
 * while, and only by nodes that had nothing to do, have been asked to retire, and have said that they claim nothing more:
 * then the Deployment is told that one pod less will do, and it takes theirs, as their deletion cost is the lowest.
 */
export function nextScaleStep({ wanted, recent, replicas, max, nodes }: ScaleView): ScaleStep {
  // One that drains without having been asked is on its way out already, and Kubernetes counts it no more.
  const present = nodes.filter(({ isDraining, isAsked }) => !isDraining || isAsked);
  const asked = present.filter(({ isAsked }) => isAsked);
  const beingDeleted = Math.max(0, present.length - replicas);
  const starting = Math.max(0, replicas - present.length);
  const staying = Math.max(0, asked.length - beingDeleted);
  const capacity = replicas - staying;
  if (wanted > capacity) {
    if (staying > 0 && beingDeleted === 0) return { kind: 'keep', nodes: namesOf(asked, wanted - capacity) };
    return change(replicas, Math.min(max, wanted + staying));
  }
  const spare = capacity - Math.max(wanted, recent);
  if (beingDeleted > 0) return NOTHING;
  // Pods that never came up, or not yet, run nothing, and go before all others.
  if (starting > 0) return change(replicas, replicas - Math.max(0, Math.min(starting, spare)));
  const retired = asked.filter(({ isDraining }) => isDraining);
  if (retired.length > 0 && spare >= 0) return change(replicas, replicas - retired.length);
  const idle = present.filter(({ isAsked, isIdle }) => isIdle && !isAsked).sort((a, b) => b.started - a.started);
  return spare > 0 && idle.length > 0 ? { kind: 'retire', nodes: namesOf(idle, spare) } : NOTHING;
}

function change(from: number, replicas: number): ScaleStep {
  return from === replicas ? NOTHING : { kind: 'replicas', replicas };
}

function namesOf(nodes: readonly ScaledNode[], most: number): string[] {
  return nodes.slice(0, most).map(({ node }) => node);
}
