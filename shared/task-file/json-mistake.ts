export interface JsonMistake {
  readonly offset: number;
  readonly message: string;
}

const CUT_OFF = 'Unexpected end of JSON input';

/** The first thing that keeps the text from being JSON; undefined when nothing does. */
export function findJsonMistake(text: string): JsonMistake | undefined {
  const message = complaint(text);
  if (message === undefined) return undefined;
  const offset = toldOffset(message) ?? (message === CUT_OFF ? text.length : unexpectedOffset(text));
  return { offset, message: message.replace(/( in JSON at position|, (\.\.\.)?").*$/s, '') };
}

function complaint(text: string): string | undefined {
  try {
    JSON.parse(text);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function toldOffset(message: string): number | undefined {
  const position = /position (\d+)/.exec(message)?.[1];
  return position === undefined ? undefined : Number(position);
}

/** Of an unexpected token the parser does not tell where it is: it is the end of the shortest beginning that has one. */
function unexpectedOffset(text: string): number {
  let good = 0;
  let bad = text.length;
  while (bad - good > 1) {
    const middle = Math.floor((good + bad) / 2);
    if (mayGoOn(text.slice(0, middle))) good = middle;
    else bad = middle;
  }
  return good;
}

/** Whether all that is wrong with it is that there is no more of it. */
function mayGoOn(beginning: string): boolean {
  const message = complaint(beginning);
  return message === undefined || message === CUT_OFF || toldOffset(message) === beginning.length;
}
