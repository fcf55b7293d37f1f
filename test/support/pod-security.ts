import type { Manifest } from './helm.ts';

/** Volumes that the restricted standard allows. */
const VOLUMES = [
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'persistentVolumeClaim',
  'projected',
  'secret',
];

/**
 * What the restricted pod security standard of Kubernetes has against a pod: https://kubernetes.io/docs/concepts/security/pod-security-standards/
 * @param mayWrite containers that may write to their roots
 */
export function insecurities(pod: Manifest, mayWrite: readonly string[] = []): string[] {
  const found: string[] = [];
  const forbid = (isSo: boolean, what: string) => {
    if (isSo) found.push(what);
  };
  const own = pod.securityContext ?? {};
  for (const name of ['hostNetwork', 'hostPID', 'hostIPC']) forbid(pod[name] === true, name);
  for (const { name, ...kind } of pod.volumes ?? [])
    forbid(!Object.keys(kind).every(key => VOLUMES.includes(key)), `volume ${name}: ${Object.keys(kind)}`);
  forbid((own.sysctls ?? []).length > 0, 'sysctls');
  for (const container of [...(pod.containers ?? []), ...(pod.initContainers ?? [])]) {
    const { name } = container;
    const context = { ...own, ...container.securityContext };
    forbid(context.privileged === true, `${name} is privileged`);
    forbid(context.allowPrivilegeEscalation !== false, `${name} may escalate`);
    forbid(context.runAsNonRoot !== true, `${name} may be root`);
    forbid(context.runAsUser === 0, `${name} is root`);
    forbid(!['RuntimeDefault', 'Localhost'].includes(context.seccompProfile?.type), `${name} has no seccomp profile`);
    forbid(!context.capabilities?.drop?.includes('ALL'), `${name} keeps capabilities`);
    forbid(
      (context.capabilities?.add ?? []).some((one: string) => one !== 'NET_BIND_SERVICE'),
      `${name} adds capabilities`,
    );
    forbid(
      (container.ports ?? []).some((port: Manifest) => port.hostPort),
      `${name} has a port of the host`,
    );
    // Not asked by the standard, and kept all the same.
    forbid(context.readOnlyRootFilesystem !== true && !mayWrite.includes(name), `${name} can write to its root`);
    forbid(container.resources?.limits?.memory === undefined, `${name} has no limit of memory`);
  }
  return found;
}
