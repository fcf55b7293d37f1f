import { randomBytes } from 'node:crypto';
import { join } from 'node:path';

/** The id of every cluster that tests make: it never leaves its directory. */
export const CEPH_FSID = '7b1d0c2e-51c1-4c15-9e7a-51c1c151c150';
export const CEPH_OSD_ID = '7b1d0c2e-51c1-4c15-9e7a-000000000000';

export interface CephLayout {
  readonly directory: string;
  readonly ports: { readonly monitor: number; readonly storage: number; readonly gateway: number };
}

/**
 * A whole Ceph on loopback: one monitor, one store in memory, one gateway. Not what anyone would run, but a real S3.
 * `paxos_*` make it start in 2 s instead of 13; `tcp_nodelay` makes small requests 1 ms instead of 40 ms; the memory of
 * deleted objects is given back after a minute instead of two hours.
 */
export function cephConfig({ directory, ports }: CephLayout): string {
  return `
[global]
fsid = ${CEPH_FSID}
mon_initial_members = a
mon_host = v2:127.0.0.1:${ports.monitor}
public_addr = 127.0.0.1
ms_bind_msgr1 = false
ms_bind_port_min = ${ports.storage}
ms_bind_port_max = ${ports.storage + 400}
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
auth_allow_insecure_global_id_reclaim = false
keyring = ${join(directory, 'keyring')}
run_dir = ${join(directory, 'run')}
admin_socket = ${join(directory, 'run')}/$name.$pid.asok
log_file = ${directory}/$name.log
log_to_stderr = false
mon_cluster_log_file = ${join(directory, 'cluster.log')}
crash_dir = ${join(directory, 'run')}
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 8
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_warn_on_pool_no_redundancy = false
mon_max_pg_per_osd = 2000
paxos_propose_interval = 0.05
paxos_min_wait = 0.01
mon_osd_nearfull_ratio = 0.97
mon_osd_backfillfull_ratio = 0.98
mon_osd_full_ratio = 0.99
osd_failsafe_full_ratio = 0.995
[mon]
mon_data = ${join(directory, 'mon')}
mon_pg_warn_min_per_osd = 0
mon_data_avail_crit = 1
mon_data_avail_warn = 1
[osd]
osd_data = ${join(directory, 'osd')}
osd_objectstore = memstore
osd_max_object_name_len = 2048
osd_op_num_shards = 2
osd_fast_shutdown = false
osd_crush_update_on_start = true
memstore_device_bytes = 6442450944
memstore_page_set = false
[client]
rgw_data = ${join(directory, 'gateway')}
rgw_frontends = beast endpoint=127.0.0.1:${ports.gateway} tcp_nodelay=1
rgw_enable_apis = s3, admin
rgw_thread_pool_size = 64
rgw_user_max_buckets = 100000
rgw_enable_usage_log = false
rgw_dynamic_resharding = false
rgw_gc_obj_min_wait = 60
rgw_gc_processor_period = 60
rgw_gc_processor_max_time = 60
rgw_override_bucket_index_max_shards = 1
rgw_s3_auth_use_rados = true
`;
}

/** Keys for all of its parts. Without them the gateway hangs for ever at its start. */
export function cephKeyring(): string {
  const part = (name: string, capabilities: Record<string, string>) =>
    [
      `[${name}]`,
      `key = ${newCephKey()}`,
      ...Object.entries(capabilities).map(([on, what]) => `caps ${on} = "${what}"`),
    ].join('\n');
  return [
    part('mon.', { mon: 'allow *' }),
    part('client.admin', { mon: 'allow *', osd: 'allow *', mgr: 'allow *' }),
    part('client.rgw.a', { mon: 'allow rwx', osd: 'allow rwx', mgr: 'allow rw' }),
    part('osd.0', { mon: 'allow profile osd', osd: 'allow *', mgr: 'allow profile osd' }),
    '',
  ].join('\n');
}

/** Ceph's own form: its type (1: AES), when it was made (seconds, nanoseconds), its length, the key. */
function newCephKey(): string {
  const head = Buffer.alloc(12);
  head.writeUInt16LE(1, 0);
  head.writeUInt32LE(Math.floor(Date.now() / 1000), 2);
  head.writeUInt16LE(16, 10);
  return Buffer.concat([head, randomBytes(16)]).toString('base64');
}
