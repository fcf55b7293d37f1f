/** What a test in Go says of a line; of the file it names no folder. */
export interface GoTestLine {
  readonly path: string;
  readonly line: string;
  readonly message: string;
}

const PLACE = /^ {4}(?: {4})*(?<path>[\w./-]+\.go):(?<line>\d+): (?<message>.+)$/;
/** With -v, what follows is printed by this test. */
const SPEAKS = /^=== (?:RUN|CONT|NAME) +(?<name>\S+)$/;
const VERDICT = /^ *--- (?<verdict>FAIL|PASS|SKIP|BENCH): (?<name>\S+)/;
const PACKAGE_ENDS = /^(?:ok|FAIL|\?) *\t/;
/** More of tests that have not ended are not kept. */
const MOST_HELD = 1000;

/**
 * Reads what `go test` prints, and finds what tests that failed have said. Without -v that comes after their verdict; with it before, and then
 * nobody knows yet whether it is a failure or only a log.
 */
export class GoTestLines {
  /** By test. */
  readonly #held = new Map<string, GoTestLine[]>();
  #heldLines = 0;
  #speaker: string | undefined;
  #isFailing = false;

  push(text: string): readonly GoTestLine[] {
    const speaker = SPEAKS.exec(text)?.groups?.name;
    if (speaker !== undefined) {
      this.#speaker = speaker;
      return [];
    }
    const { verdict, name } = VERDICT.exec(text)?.groups ?? {};
    if (verdict !== undefined && name !== undefined) return this.#end(name, verdict === 'FAIL');
    if (PACKAGE_ENDS.test(text)) this.#forget();
    const place = PLACE.exec(text)?.groups as unknown as GoTestLine | undefined;
    if (!place) return [];
    if (this.#speaker !== undefined) this.#hold(this.#speaker, place);
    return this.#speaker === undefined && this.#isFailing ? [place] : [];
  }

  #hold(name: string, place: GoTestLine): void {
    if (this.#heldLines >= MOST_HELD) return;
    this.#heldLines++;
    const held = this.#held.get(name);
    if (held) held.push(place);
    else this.#held.set(name, [place]);
  }

  #end(name: string, isFailing: boolean): readonly GoTestLine[] {
    const held = this.#held.get(name) ?? [];
    this.#held.delete(name);
    this.#heldLines -= held.length;
    this.#speaker = undefined;
    this.#isFailing = isFailing;
    return isFailing ? held : [];
  }

  #forget(): void {
    this.#held.clear();
    this.#heldLines = 0;
    this.#speaker = undefined;
    this.#isFailing = false;
  }
}
