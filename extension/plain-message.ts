/**
 * Of what VS Code says in a notification it makes links of `[words](command:…)`, and a click on one runs the command. A name, a path
 * or an answer that somebody else has written must not become one.
 */
export function plainMessage(text: string): string {
  return text.replaceAll('](', '] (');
}
