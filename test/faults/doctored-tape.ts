import type { TapeEvent } from './tape.ts';

export const ROOT = 'acme/ci/';

interface Put {
  readonly put: string;
  readonly value: object;
  readonly lease?: string;
}
type Write = Put | { readonly delete: string };

/** A history written by hand, as an etcd would tell it: one call is one transaction, one second after the one before it. */
export class DoctoredTape {
  readonly events: TapeEvent[] = [];
  readonly #keys = new Map<string, { created: number; version: number }>();
  #revision = 1;

  /** @returns its revision */
  commit(...writes: readonly Write[]): number {
    const revision = ++this.#revision;
    for (const write of writes)
      this.events.push('put' in write ? this.#put(write, revision) : this.#delete(write.delete, revision));
    return revision;
  }

  submit(task: string, spec: object = {}): number {
    return this.commit({ put: `tasks/${task}`, value: { name: task, ...spec } });
  }

  /** @returns the fence */
  claim(
    task: string,
    claims = 1,
    more: { readonly node?: string; readonly lease?: string; readonly drained?: number } = {},
  ): number {
    const { node = 'n1', lease = '77', drained = 0 } = more;
    return this.commit(
      { put: `tasks/${task}.lock`, value: { node, instance: node, attempt: claims }, lease },
      { put: `attempts/${task}`, value: { claims, crashed: 0, lost: 0, drained } },
    );
  }

  release(task: string, claims = 1, charged = 0): number {
    const value = { claims, crashed: 0, lost: charged, drained: 1 };
    return this.commit({ delete: `tasks/${task}.lock` }, { put: `attempts/${task}`, value });
  }

  expire(task: string): number {
    return this.commit({ delete: `tasks/${task}.lock` });
  }

  complete(task: string, fence: number, outcome = 'passed'): number {
    return this.commit(
      { put: `completed/${task}`, value: { fence, outcome, attempt: 1 } },
      { delete: `tasks/${task}` },
      ...(fence === 0 ? [] : [{ delete: `tasks/${task}.lock` }]),
      { delete: `attempts/${task}` },
    );
  }

  #put({ put, value, lease = '0' }: Put, revision: number): TapeEvent {
    const key = ROOT + put;
    const { created, version } = this.#keys.get(key) ?? { created: revision, version: 0 };
    this.#keys.set(key, { created, version: version + 1 });
    const at = revision * 1000;
    return { revision, at, kind: 'put', key, value: JSON.stringify(value), created, version: version + 1, lease };
  }

  #delete(name: string, revision: number): TapeEvent {
    const key = ROOT + name;
    this.#keys.delete(key);
    return { revision, at: revision * 1000, kind: 'delete', key, created: 0, version: 0, lease: '0' };
  }
}
