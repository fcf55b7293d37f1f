import { closeSync, readdirSync, readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { CiError } from '../../../shared/errors.ts';
import { type Clock, systemClock } from '../../system/clock.ts';
import { isNoSpace, noSpace } from '../../system/no-space.ts';
import { encodeFrame, FrameReader } from './frames.ts';
import { freezeWhenSilent } from './freeze-when-silent.ts';
import type { Reply, Request, SandboxPlan } from './messages.ts';
import { maySetOomScore } from './oom-score.ts';
import { makeOwnPlace } from './own-place.ts';
import { Permit } from './permit.ts';
import { readTag } from './proc.ts';
import { RenewalWatch } from './renewal-watch.ts';
import { SupervisedSandbox } from './supervised-sandbox.ts';
import { takeUserBlock, type UserBlock } from './user-block.ts';

/** Where a node listens to its supervisor. */
const CHANNEL = 3;
const CLOSE_ON_EXEC = 0o2000000;

/**
 * The main of the supervisor process. Ends when the node's end of the channel closes or talks nonsense, and then nothing that
 * it has started is left. Signals from terminals and service managers are the node's to decide on.
 */
export async function supervise(): Promise<void> {
  closeInherited();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
  const channel = new Socket({ fd: CHANNEL });
  const supervision = new Supervision(systemClock, reply => channel.write(encodeFrame(reply)));
  const reader = new FrameReader();
  channel.on('data', bytes => {
    try {
      for (const request of reader.read(bytes)) supervision.take(request as Request);
    } catch {
      channel.destroy();
    }
  });
  await new Promise<void>(resolve => {
    channel.on('error', () => channel.destroy());
    channel.on('end', () => channel.destroy());
    channel.on('close', () => resolve());
  });
  const isClean = await supervision.end();
  process.exit(isClean ? 0 : 1);
}

/** Closes what whoever started the node had left open to all its children: tasks would get it too. Ours are not of that kind. */
function closeInherited(): void {
  if (process.platform !== 'linux') return;
  for (const name of readdirSync('/proc/self/fd'))
    if (Number(name) > CHANNEL && isInherited(name)) closeSync(Number(name));
}

function isInherited(fd: string): boolean {
  try {
    const flags = readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8').match(/^flags:\s*([0-7]+)/m);
    return flags !== null && (Number.parseInt(flags[1]!, 8) & CLOSE_ON_EXEC) === 0;
  } catch {
    return false;
  }
}

/** All sandboxes of a node, and the rule that they stand still when the node is not heard of. */
class Supervision {
  readonly #clock: Clock;
  readonly #send: (reply: Reply) => void;
  readonly #sandboxes = new Map<number, SupervisedSandbox>();
  /** From the first request on, which brings the rules. */
  #renewals: RenewalWatch | undefined;
  #users: UserBlock | undefined;

  constructor(clock: Clock, send: (reply: Reply) => void) {
    this.#clock = clock;
    this.#send = send;
  }

  take(request: Request): void {
    switch (request.kind) {
      case 'renewed':
        this.#renewals?.renewed(request);
        break;
      case 'open':
        this.#open(request.sandbox);
        break;
      case 'stop':
        this.#sandboxes
          .get(request.sandbox)
          ?.stop(request.graceMs)
          .catch(() => undefined);
        break;
      default:
        this.#answer(request).then(this.#send, (error: unknown) =>
          this.#send({
            kind: 'failed',
            id: request.id,
            code: error instanceof CiError ? error.code : 'unavailable',
            message: messageOf(error),
          }),
        );
    }
  }

  /** Kills everything. Tells whether that worked. */
  async end(): Promise<boolean> {
    const ends = await Promise.allSettled([...this.#sandboxes.values()].map(sandbox => sandbox.close()));
    return ends.every(({ status }) => status === 'fulfilled');
  }

  async #answer(request: Exclude<Request, { kind: 'renewed' | 'open' | 'stop' }>): Promise<Reply> {
    const { id } = request;
    switch (request.kind) {
      case 'begin': {
        this.#renewals = new RenewalWatch(this.#clock, request.freezeAfterMs);
        const place = await makeOwnPlace(request.place, this.#clock);
        if (request.place.ownUsers) this.#users = await takeUserBlock(this.#clock);
        void freezeWhenSilent(this.#clock, () => this.#sandboxes.values(), request);
        return {
          kind: 'begun',
          id,
          pid: process.pid,
          ...(this.#users && { firstUser: this.#users.first }),
          isTagged: maySetOomScore && readTag('self') === request.place.tag,
          place,
        };
      }
      case 'run':
        return { kind: 'ended', id, end: await this.#sandbox(request.sandbox).run(request.command) };
      case 'stood-still':
        return { kind: 'stood-still', id, ms: this.#sandbox(request.sandbox).stoodStill(request.since) };
      case 'freeze':
        await this.#sandbox(request.sandbox).freeze();
        break;
      case 'thaw':
        await this.#sandbox(request.sandbox).thaw();
        break;
      case 'kill':
        await this.#sandbox(request.sandbox).kill();
        break;
      case 'close':
        await this.#sandbox(request.sandbox).close();
        this.#sandboxes.delete(request.sandbox);
        break;
      default:
        throw new Error(`Cannot do what is unknown: ${JSON.stringify(request satisfies never)}`);
    }
    return { kind: 'done', id };
  }

  #open(plan: SandboxPlan): void {
    if (!this.#renewals) throw new Error('Cannot open a sandbox before the rules are known');
    const permit = new Permit(plan.lease, this.#renewals, this.#clock);
    const sandbox = new SupervisedSandbox(plan, permit, this.#clock);
    this.#sandboxes.set(plan.number, sandbox);
    sandbox.prepare();
  }

  #sandbox(number: number): SupervisedSandbox {
    const sandbox = this.#sandboxes.get(number);
    if (!sandbox) throw new Error(`Cannot find sandbox ${number}`);
    return sandbox;
  }
}

function messageOf(error: unknown): string {
  if (isNoSpace(error) && error.path !== undefined) return noSpace('prepare the task', error.path, error).message;
  return error instanceof Error ? error.message : String(error);
}
