import { neverAborted } from '../../node-runtime/system/clock.ts';
import type { Process } from './machine.ts';
import type { ModelDeployment } from './model-deployment.ts';
import type { Backup, ModelEtcd } from './model-etcd.ts';
import type { Order } from './model-supervisor.ts';
import { FAIR_WEATHER, type Link, type Weather } from './network.ts';
import { type ActOfCourse, hasAct } from './parts.ts';
import type { Plan } from './plan.ts';
import type { Scheduler } from './scheduler.ts';
import type { SeededChance } from './seeded-chance.ts';
import type { SimulatedNode } from './simulated-node.ts';
import type { Trace } from './trace.ts';

/** What can be done to a cluster. */
export interface Victims {
  readonly scheduler: Scheduler;
  readonly outside: Process;
  readonly chance: SeededChance;
  readonly etcd: ModelEtcd;
  readonly nodes: readonly SimulatedNode[];
  readonly deployment: ModelDeployment | undefined;
  readonly trace: Trace;
  /** The act that is under way has really hurt something: an ambush that nobody walks into, and a pause of what is down, have not. */
  readonly struck: () => void;
  /** A supervisor was paused, or goes on: until then, and a moment longer, it cannot stop anything. */
  readonly onSupervisor: (guard: Process, isPaused: boolean) => void;
  readonly onRestored: () => void;
  /** Whether clocks are set back too: a machine that sleeps cannot tell how long it did when its calendar was set back meanwhile. */
  readonly mayTurnBack: boolean;
  /** How much a clock is set wrong at most, in milliseconds. */
  readonly mostWrongByMs: number;
}

/** What the moves of the protocol write first. */
const MOVES = {
  register: /\/members\//,
  submitOrCancel: /\/tasks\/\w+$/,
  claimOrRelease: /\.lock$/,
  complete: /\/completed\//,
  tellDemand: /\/demand\//,
};

/** The faults there are. A seed has some of them. */
export const ACTS = {
  'kill -9 of a node': ({ chance, nodes, struck }) => {
    const node = chance.pick(nodes);
    if (node.process) struck();
    node.crash();
  },
  'kill -9 of a supervisor': ({ chance, nodes, struck }) => {
    const node = chance.pick(nodes);
    if (node.up?.supervisor()) struck();
    node.crashSupervisor();
  },
  'power cut': ({ chance, nodes, struck }) => {
    const node = chance.pick(nodes);
    if (node.process) struck();
    node.cutPower();
  },
  'a node is paused': victims => pauseNode(victims, victims.chance.pick(victims.nodes), pauseMs(victims)),
  'a supervisor is paused': victims => pauseSupervisor(victims, victims.chance.pick(victims.nodes), pauseMs(victims)),
  'node and supervisor are paused': victims => {
    const node = victims.chance.pick(victims.nodes);
    const ms = pauseMs(victims);
    pauseNode(victims, node, ms);
    pauseSupervisor(victims, node, ms);
  },
  'a node is paused as it claims or hands back': victims => pauseAsItWrites(victims, MOVES.claimOrRelease),
  'a node is paused as it starts a command': victims => pauseAsItOrders(victims, 'run'),
  'a node is paused as it lets a task go on': victims => pauseAsItOrders(victims, 'thaw'),
  'a node is paused as it completes': victims => pauseAsItWrites(victims, MOVES.complete),
  'a node is paused as it submits or cancels': victims => pauseAsItWrites(victims, MOVES.submitOrCancel),
  'a node is paused as it tells the demand': victims => pauseAsItWrites(victims, MOVES.tellDemand),
  'a node is paused as it scales': victims => {
    const { chance, deployment, nodes } = victims;
    if (!deployment) return;
    deployment.ambush = (name, depart) => {
      const process = nodes.find(({ id }) => id === name)?.process;
      if (!process) return;
      pauseFor(victims, process, chance.between(10_000, 90_000), () => {
        if (!process.isDead) depart();
      });
    };
  },
  'a node is killed as it writes': victims =>
    ambush(victims, victims.chance.pick(Object.values(MOVES)), (process, depart) => {
      if (victims.chance.happens(0.5)) depart();
      victims.trace.note(process.name, 'is killed as it writes');
      if (!process.isDead) victims.struck();
      process.kill();
    }),
  'a machine sleeps': ({ chance, nodes, outside, trace, struck }) => {
    const { id, machine, links } = chance.pick(nodes);
    if (!machine.isAsleep) struck();
    const ms = chance.between(1000, 120_000);
    trace.note(id, `sleeps for ${seconds(ms)}`);
    machine.sleepFor(ms);
    // It may wake where there is no network.
    if (chance.happens(0.5)) return;
    for (const link of links) link.isPartitioned = true;
    void outside.sleep(ms + chance.between(5000, 60_000), neverAborted).then(() => {
      for (const link of links) link.isPartitioned = false;
    });
  },
  'a clock is set': ({ chance, nodes, trace, mayTurnBack, mostWrongByMs, struck }) => {
    const { id, machine } = chance.pick(nodes);
    const ms = chance.between(mayTurnBack ? -mostWrongByMs : machine.wrongBy, mostWrongByMs);
    trace.note(id, `has its clock set wrong by ${seconds(ms)}`);
    machine.wrongBy = ms;
    struck();
  },
  'a node is cut off from etcd': victims =>
    forWhile(victims, 'is cut off from etcd', 90_000, ({ links }) => {
      const [store] = links;
      if (store) store.isPartitioned = true;
      if (store) victims.struck();
      return () => {
        if (store) store.isPartitioned = false;
      };
    }),
  'answers of etcd do not get through': victims =>
    forWhile(victims, 'hears no answers of etcd', 60_000, ({ links }) => {
      const [store] = links;
      if (store) store.isDeafened = true;
      if (store) victims.struck();
      return () => {
        if (store) store.isDeafened = false;
      };
    }),
  'a node is cut off from the object store': victims =>
    forWhile(victims, 'is cut off from the object store', 80_000, ({ links }) => {
      const objects = links[1];
      if (objects) objects.isPartitioned = true;
      if (objects) victims.struck();
      return () => {
        if (objects) objects.isPartitioned = false;
      };
    }),
  'connections to etcd are cut': ({ nodes, trace, struck }) => {
    trace.note('etcd', 'loses its connections');
    if (nodes.some(({ links }) => links[0])) struck();
    for (const { links } of nodes) links[0]?.cut();
  },
  'etcd changes its leader': ({ etcd, nodes, trace, struck }) => {
    trace.note('etcd', 'has another leader');
    if (etcd.leases.length > 0) struck();
    etcd.changeLeader();
    for (const { links } of nodes) links[0]?.cut();
  },
  'etcd has no leader': victims => void loseLeader(victims, victims.chance.between(500, 60_000)),
  'etcd is compacted': ({ etcd, trace, struck }) => {
    trace.note('etcd', `is compacted at ${etcd.revision}`);
    if (etcd.compacted < etcd.revision) struck();
    etcd.compact();
  },
  'etcd revokes a lease early': ({ chance, etcd, trace, struck }) => {
    if (etcd.leases.length === 0) return;
    struck();
    const lease = chance.pick(etcd.leases);
    trace.note('etcd', `revokes a live lease: ${lease}`);
    etcd.revoke(lease, 'lease revoked early');
  },
  'etcd is full': ({ chance, etcd, outside, trace, struck }) => {
    struck();
    const ms = chance.between(2000, 60_000);
    trace.note('etcd', `is full for ${seconds(ms)}`);
    etcd.isFull = true;
    void outside.sleep(ms, neverAborted).then(() => {
      etcd.isFull = false;
    });
  },
  'a node drains': ({ chance, nodes, struck }) => {
    const node = chance.pick(nodes);
    if (node.up) struck();
    node.drain();
    if (chance.happens(0.3)) node.up?.node.hurry();
  },
  'a rolling upgrade': victims => void upgrade(victims),
  'a claim comes late': victims =>
    ambush(victims, MOVES.claimOrRelease, (process, depart) => {
      const ms = victims.chance.between(3000, 30_000);
      victims.trace.note(process.name, `has sent what takes ${seconds(ms)}`);
      victims.struck();
      void victims.outside.sleep(ms, neverAborted).then(depart);
    }),
} satisfies Record<string, (victims: Victims) => void>;

export type Act = keyof typeof ACTS;

/** @param names with commas between them */
export function parseActs(names: string): Act[] {
  return names.split(',').map(name => {
    if (name in ACTS) return name as Act;
    throw new Error(`Cannot simulate a fault that is not known: ${name}. There are: ${Object.keys(ACTS).join(', ')}`);
  });
}

/** Bad weather of some kind, as likely fair in each respect as not. */
export function badWeather(chance: SeededChance, most: number): Weather {
  const some = () => (chance.happens(0.5) ? chance.between(0, most) : 0);
  return {
    lostRequest: some(),
    lostAnswer: some(),
    brokenAnswer: some(),
    refused: some(),
    slow: some(),
    late: chance.happens(0.3) ? most * chance.pick([0.2, 3]) : 0,
    twice: chance.happens(0.2) ? chance.between(0, most) : 0,
  };
}

/** Told of what befalls a cluster. */
export interface Chronicle {
  readonly onAct: (act: ActOfCourse) => void;
  /** A fault has really hurt something. */
  readonly onStruck: (fault: string) => void;
}

/**
 * One act after the other until the time is up, then everything is healed; what still lasts by itself ends within two minutes. Each has
 * chance of its own: whichever is left out, the others stay as they were.
 */
export async function torment(victims: Victims, plan: Plan, { onAct, onStruck }: Chronicle): Promise<void> {
  const { scheduler, outside, chance } = victims;
  const { acts, meanPauseMs, faultsMs } = plan;
  for (let number = 1; acts.length > 0; number++) {
    await outside.sleep(meanPauseMs * chance.between(0.2, 1.8), neverAborted);
    if (scheduler.now >= faultsMs) return;
    const act = chance.pick(acts);
    const own = chance.fork();
    if (!hasAct(plan, number)) continue;
    onAct({ number, act, at: scheduler.now });
    ACTS[act]({ ...victims, chance: own, struck: () => onStruck(act) });
  }
}

/** An etcd whose disks are gone, put back from a backup as the manual says: while all nodes are stopped, with revisions that go on. */
export async function restore(victims: Victims, backup: Backup): Promise<void> {
  const { etcd, outside, trace, onRestored, struck } = victims;
  struck();
  const nodes = victims.nodes.filter(({ isWanted }) => isWanted);
  for (const node of nodes) {
    node.stopWanting();
    node.cutPower();
  }
  await outside.sleep(10_000, neverAborted);
  etcd.restore(backup);
  trace.note('etcd', `is restored from a backup, at ${etcd.revision}`);
  onRestored();
  for (const node of nodes) node.start();
}

export async function loseLeader({ etcd, nodes, outside, trace, struck }: Victims, ms: number): Promise<void> {
  if (!etcd.hasLeader) return;
  struck();
  trace.note('etcd', `has no leader for ${seconds(ms)}`);
  etcd.hasLeader = false;
  await outside.sleep(ms, neverAborted);
  trace.note('etcd', 'has a leader again');
  etcd.hasLeader = true;
  etcd.changeLeader();
  for (const { links } of nodes) links[0]?.cut();
}

function pauseMs({ chance }: Victims): number {
  return chance.between(1000, 90_000);
}

function pauseNode(victims: Victims, { process }: SimulatedNode, ms: number): void {
  if (process) pauseFor(victims, process, ms);
}

function pauseSupervisor(victims: Victims, { up }: SimulatedNode, ms: number): void {
  const guard = up?.supervisor()?.guard;
  if (!guard || guard.isPaused) return;
  victims.onSupervisor(guard, true);
  pauseFor(victims, guard, ms, () => victims.onSupervisor(guard, false));
}

function pauseFor(
  { outside, trace, struck }: Victims,
  process: Process,
  ms: number,
  then: () => void = () => undefined,
): void {
  if (process.isPaused) return;
  if (!process.isDead) struck();
  trace.note(process.name, `is paused for ${seconds(ms)}`);
  process.pause();
  void outside.sleep(ms, neverAborted).then(() => {
    trace.note(process.name, 'is resumed');
    process.resume();
    then();
  });
}

function pauseAsItWrites(victims: Victims, at: RegExp): void {
  ambush(victims, at, (process, depart) => pauseFor(victims, process, victims.chance.between(10_000, 90_000), depart));
}

/** Before its supervisor hears of it. */
function pauseAsItOrders(victims: Victims, order: Order): void {
  const { id, process, up } = victims.chance.pick(victims.nodes);
  const supervisor = up?.supervisor();
  if (!process || !supervisor) return;
  victims.trace.note(id, `is lain in wait for until it tells its supervisor to ${order}`);
  supervisor.ambush = {
    at: order,
    strike: depart => pauseFor(victims, process, victims.chance.between(10_000, 90_000), depart),
  };
}

function ambush(
  { chance, nodes, trace }: Victims,
  at: RegExp,
  strike: (process: Process, depart: () => void) => void,
): void {
  const { id, process, links } = chance.pick(nodes);
  if (!process || !links[0]) return;
  trace.note(id, `is lain in wait for until it writes ${at.source}`);
  links[0].ambush = { at, strike: depart => strike(process, depart) };
}

function forWhile(
  { chance, nodes, outside, trace }: Victims,
  what: string,
  mostMs: number,
  begin: (node: SimulatedNode) => () => void,
): void {
  const node = chance.pick(nodes);
  const ms = chance.between(1000, mostMs);
  trace.note(node.id, `${what} for ${seconds(ms)}`);
  const end = begin(node);
  void outside.sleep(ms, neverAborted).then(end);
}

/** Each node in turn is drained and started as the other release. */
async function upgrade({ nodes, outside, trace, struck }: Victims): Promise<void> {
  for (const node of nodes) {
    if (node.up) struck();
    node.release = node.release === 'this' ? 'next' : 'this';
    trace.note(node.id, `is upgraded to the ${node.release} release`);
    node.drain();
    await outside.sleep(20_000, neverAborted);
  }
}

/** Everything is as it should be, from now on. Who was paused or asleep goes on when that time is over. */
export function heal({ etcd, nodes, deployment }: Victims, links: Iterable<Link>): void {
  etcd.isFull = false;
  if (deployment) deployment.ambush = undefined;
  for (const { up } of nodes) {
    const supervisor = up?.supervisor();
    if (supervisor) supervisor.ambush = undefined;
  }
  for (const link of links) {
    link.weather = FAIR_WEATHER;
    link.isPartitioned = false;
    link.isDeafened = false;
    link.ambush = undefined;
  }
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
