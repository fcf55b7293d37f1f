export interface PlaceInLine {
  readonly index: number;
  readonly length: number;
  /** Absolute. */
  readonly path: string;
  /** Counted from 1. */
  readonly line?: number;
  readonly column?: number;
}

/** What ends a path: within the folder it has no spaces. */
const REST = /^((?:\/[^\s:;,'"`()[\]{}<>]*)?)(?::(\d+)(?::(\d+))?)?/;

/** The files below a folder that a line of a terminal names by their absolute paths. */
export function placesInLine(text: string, folder: string): PlaceInLine[] {
  const places: PlaceInLine[] = [];
  for (let index = text.indexOf(folder); index >= 0; index = text.indexOf(folder, index + folder.length)) {
    const [all = '', rest = '', line, column] = REST.exec(text.slice(index + folder.length)) ?? [];
    if (rest.length < 2) continue;
    places.push({
      index,
      length: folder.length + all.length,
      path: folder + rest,
      ...(line !== undefined && { line: Number(line) }),
      ...(column !== undefined && { column: Number(column) }),
    });
  }
  return places;
}
