import { setTimeout as sleep } from 'node:timers/promises';
import type { EtcdServer } from '../../support/etcd-server.ts';
import { pickFrom } from '../draw.ts';
import { again, type Nemesis, nothingToHeal } from '../nemesis.ts';
import type { Rig } from '../rig.ts';

const SHORT_MS = [3000, 9000] as const;
const MEMBER_MS = [4000, 15_000] as const;
/** Tasks are frozen after 20 s of it, and would be killed 10 minutes later. */
const LONG_MS = 600_000;
/** Outside of the cluster's prefix. */
const FILLER = 'chaos-filler/';

/** What happens to etcd itself. */
export const etcdFaults: readonly Nemesis[] = [
  {
    name: 'kill -9 of an etcd member',
    track: 'etcd',
    lastsMs: MEMBER_MS,
    async inject({ etcd }, pick, _signal, struck) {
      const member = pickFrom(etcd.members, pick);
      struck();
      await member.kill();
      return () => member.restart();
    },
  },
  {
    name: 'restart of an etcd member',
    track: 'etcd',
    lastsMs: SHORT_MS,
    async inject({ etcd }, pick, _signal, struck) {
      const member = pickFrom(etcd.members, pick);
      struck();
      await member.stop();
      await member.restart();
      return nothingToHeal;
    },
  },
  {
    name: 'SIGSTOP of an etcd member',
    track: 'etcd',
    lastsMs: MEMBER_MS,
    async inject({ etcd }, pick, _signal, struck) {
      const member = pickFrom(etcd.members, pick);
      struck();
      member.pause();
      return async () => member.resume();
    },
  },
  {
    name: 'kill -9 of etcd’s leader',
    track: 'etcd',
    lastsMs: MEMBER_MS,
    async inject({ etcd }, _pick, _signal, struck) {
      const leader = await etcd.leader();
      struck();
      await leader.kill();
      return () => leader.restart();
    },
  },
  {
    name: 'etcd’s leader moved, again and again',
    track: 'etcd',
    lastsMs: SHORT_MS,
    // There may be no leader just now.
    inject: async ({ etcd }, _pick, signal, struck) => {
      const move = () =>
        etcd.moveLeader().then(
          () => struck(),
          () => undefined,
        );
      return again(1500, move, signal);
    },
  },
  {
    name: 'all of etcd stands still',
    track: 'etcd',
    lastsMs: [4000, 9000],
    async inject({ etcd }, _pick, _signal, struck) {
      for (const member of etcd.members) member.pause();
      struck();
      return async () => {
        for (const member of etcd.members) member.resume();
      };
    },
  },
  quorumLost('etcd’s quorum lost', [3000, 8000]),
  quorumLost('etcd’s quorum lost for a minute', [60_000, 60_000]),
  { ...quorumLost('etcd’s quorum lost for 10 minutes', [LONG_MS, LONG_MS]), isRare: true },
  {
    name: 'all of etcd killed, and back after 10 minutes',
    track: 'etcd',
    lastsMs: [LONG_MS, LONG_MS],
    isRare: true,
    async inject({ etcd }, _pick, _signal, struck) {
      struck();
      await Promise.all(etcd.members.map(member => member.kill()));
      return async () => {
        await Promise.all(etcd.members.map(member => member.restart()));
      };
    },
  },
  {
    name: 'compaction of etcd every 5 s',
    track: 'etcd',
    lastsMs: [10_000, 25_000],
    inject: async (rig, _pick, signal, struck) => {
      const compact = async () => {
        if (await rig.compact()) struck();
      };
      return again(5000, compact, signal);
    },
  },
  {
    name: 'no space left in etcd',
    track: 'etcd',
    lastsMs: [5000, 15_000],
    async inject(rig, _pick, signal, struck) {
      if (await fill(rig, signal)) struck();
      return async healing => {
        await empty(rig, healing);
        await etcdHealthy(rig.etcd, healing);
      };
    },
  },
];

function quorumLost(name: string, lastsMs: readonly [number, number]): Nemesis {
  return {
    name,
    track: 'etcd',
    lastsMs,
    async inject({ etcd }, pick, _signal, struck) {
      struck();
      const spared = pickFrom(etcd.members, pick);
      const lost = etcd.members.filter(member => member !== spared);
      await Promise.all(lost.map(member => member.kill()));
      return async () => {
        await Promise.all(lost.map(member => member.restart()));
      };
    },
  };
}

/** Writes until etcd raises its alarm; false when there was no time for that. */
async function fill(rig: Rig, signal: AbortSignal): Promise<boolean> {
  const value = Buffer.alloc(1_000_000, 'x').toString('base64');
  for (let i = 0; !signal.aborted; i++) {
    const key = Buffer.from(FILLER + i).toString('base64');
    try {
      await rig.onAnyMember('/v3/kv/put', { key, value });
    } catch (error) {
      if (String(error).includes('space exceeded')) return true;
      await sleep(200, undefined, { signal });
    }
  }
  return false;
}

/** What an operator does about it: deletes, compacts, defragments and clears the alarm. */
async function empty(rig: Rig, signal: AbortSignal): Promise<void> {
  const range = {
    key: Buffer.from(FILLER).toString('base64'),
    range_end: Buffer.from('chaos-filler0').toString('base64'),
  };
  const deleted = await persist(() => rig.onAnyMember('/v3/kv/deleterange', range), signal);
  const revision = Number((deleted.header as { revision: string }).revision);
  // Only what the tape has may be compacted.
  while (rig.tape.head < revision) await rig.tape.changed(signal);
  await rig.compact();
  for (const endpoint of rig.etcd.endpoints)
    await persist(() => rig.etcd.request('/v3/maintenance/defragment', {}, endpoint), signal);
  const { alarms = [] } = (await persist(
    () => rig.onAnyMember('/v3/maintenance/alarm', { action: 'GET' }),
    signal,
  )) as {
    alarms?: readonly { memberID: string; alarm: string }[];
  };
  for (const { memberID, alarm } of alarms)
    await persist(() => rig.onAnyMember('/v3/maintenance/alarm', { action: 'DEACTIVATE', memberID, alarm }), signal);
}

async function etcdHealthy(etcd: EtcdServer, signal: AbortSignal): Promise<void> {
  const key = Buffer.from('chaos-probe').toString('base64');
  await persist(() => etcd.request('/v3/kv/put', { key, value: '' }), signal);
}

async function persist<T>(attempt: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (;;) {
    signal.throwIfAborted();
    try {
      return await attempt();
    } catch {
      await sleep(300, undefined, { signal });
    }
  }
}
