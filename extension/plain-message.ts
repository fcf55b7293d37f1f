/**
 * Of what VS Code says in a notification it makes links of `[words](command:…)`, and a click on one runs the command. A name, a path
 * or an answer that somebody else has written must not become one.
 */
export function plainMessage(text: string): string {
  return text.replaceAll('](', '] (');
}

/** In lists and in the status bar VS Code makes icons of `$(words)`. A command may well have some: `echo $(pwd)`. */
export function plainLabel(text: string): string {
  return text.replace(/(\\)?\$\([A-Za-z0-9-]+(?:~[A-Za-z]+)?\)/g, (icon, isEscaped) =>
    isEscaped ? icon : `\\${icon}`,
  );
}
