import { CiError } from '../../shared/errors.ts';
import { quote } from '../../shared/ids.ts';

const STRING_OR_COMMENT = /"(?:[^"\\]|\\.)*"|\/\/[^\n]*|\/\*[\s\S]*?\*\//g;
const STRING_OR_LAST_COMMA = /"(?:[^"\\]|\\.)*"|,(?=\s*[\]}])/g;

/** JSON as VS Code writes its settings: with comments, and with commas after the last of a list. */
export function parseJsonWithComments(text: string, path: string): unknown {
  const keepString = (token: string) => (token.startsWith('"') ? token : ' ');
  const bare = text
    .replace(/^\uFEFF/, '')
    .replace(STRING_OR_COMMENT, keepString)
    .replace(STRING_OR_LAST_COMMA, keepString);
  try {
    return JSON.parse(bare);
  } catch (cause) {
    throw new CiError('invalid', `Cannot look for tasks in ${quote(path)} as it is no JSON`, { cause });
  }
}
