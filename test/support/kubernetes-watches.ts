import type { ServerResponse } from 'node:http';
import type { KubeObject } from './kubernetes-server.ts';
import { isSelected } from './selected-labels.ts';

interface Event {
  readonly version: number;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  /** Of what it is: `namespace/resource/`. */
  readonly folder: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly line: string;
}

/** Somebody who is told of changes. */
interface Watcher {
  readonly folder: string;
  readonly selector: string;
  readonly bookmarks: boolean;
  readonly response: ServerResponse;
}

/** What has changed at a stand-in for Kubernetes, and those who are told of it, as its API does that. */
export class KubernetesWatches {
  readonly #events: Event[] = [];
  readonly #watchers = new Set<Watcher>();
  /** Changes up to this version are not known any more. */
  #forgotten = 0;
  /** Whether that is said by the status of the answer, or by an event of one that has begun well. Kubernetes does both. */
  saysGoneBy: 'status' | 'event' = 'event';

  get count(): number {
    return this.#watchers.size;
  }

  note(type: Event['type'], folder: string, object: KubeObject, version: number): void {
    const { labels = {} } = object.metadata;
    const event = { version, type, folder, labels, line: lineOf(type, object) };
    this.#events.push(event);
    for (const watcher of this.#watchers) if (concerns(event, watcher)) watcher.response.write(event.line);
  }

  /** Answers with what has changed since a version, and then with what changes. Undefined: it does; else the status of a refusal. */
  watch(folder: string, query: URLSearchParams, response: ServerResponse): 410 | undefined {
    const since = Number(query.get('resourceVersion') ?? 0);
    if (since < this.#forgotten && this.saysGoneBy === 'status') return 410;
    response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders();
    if (since < this.#forgotten) {
      response.end(lineOf('ERROR', { kind: 'Status', code: 410, message: `too old resource version: ${since}` }));
      return undefined;
    }
    const bookmarks = query.get('allowWatchBookmarks') === 'true';
    const watcher = { folder, selector: query.get('labelSelector') ?? '', bookmarks, response };
    for (const event of this.#events) if (event.version > since && concerns(event, watcher)) response.write(event.line);
    this.#watchers.add(watcher);
    const timer = setTimeout(() => response.end(), Number(query.get('timeoutSeconds') ?? 1800) * 1000);
    response.on('close', () => {
      clearTimeout(timer);
      this.#watchers.delete(watcher);
    });
    return undefined;
  }

  /** Tells all who want to know it that they have been told everything up to this version. */
  bookmark(version: number): void {
    const line = lineOf('BOOKMARK', { metadata: { resourceVersion: String(version) } });
    for (const { bookmarks, response } of this.#watchers) if (bookmarks) response.write(line);
  }

  /** Ends all watches: in order, or in the middle of an event. */
  end(how: 'in order' | 'broken off'): void {
    for (const { response } of this.#watchers)
      if (how === 'in order') response.end();
      else response.write('{"type":"MODI', () => response.destroy());
    this.#watchers.clear();
  }

  forget(version: number): void {
    this.#forgotten = version;
  }
}

function lineOf(type: string, object: object): string {
  return `${JSON.stringify({ type, object })}\n`;
}

function concerns(event: Event, { folder, selector }: Watcher): boolean {
  return event.folder === folder && isSelected(event.labels, selector);
}
