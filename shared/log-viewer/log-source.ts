import type { LogEvent, LogMark } from '../log.ts';
import type { LogQuery } from '../log-model/log-search.ts';
import type { ByteRange } from '../log-model/log-window.ts';

/** Where the viewer gets what is not at hand: in VS Code from the extension, on a web page from a node. */
export interface LogSource {
  /** The events of that part of the attempt's log. */
  read(fence: number, range: ByteRange): Promise<readonly LogEvent[]>;
  /** Where the steps of the attempt begin and end, as far as it can be told without reading the log. */
  marks(fence: number): Promise<readonly LogMark[]>;
  /**
   * Looks through the whole log; tells the offsets of lines as they are found. Resolves at the end, with what is wrong with the
   * query if something is. A search ends the one before it.
   */
  search(fence: number, query: LogQuery, found: (offsets: readonly number[]) => void): Promise<string | undefined>;
  stopSearch(): void;
}
