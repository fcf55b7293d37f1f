/** Elements are made of names and text only: nothing that somebody else has written is ever read as markup. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className = '',
  text?: string,
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  if (className !== '') made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

export function fill<E extends HTMLElement>(parent: E, ...children: readonly HTMLElement[]): E {
  parent.replaceChildren(...children);
  return parent;
}

export function button(text: string, className: string, click: () => void): HTMLButtonElement {
  const made = element('button', className, text);
  made.type = 'button';
  made.addEventListener('click', click);
  return made;
}

interface KeyedRows<T> {
  readonly body: HTMLTableSectionElement;
  show(items: readonly T[]): void;
}

interface RowDrawing<T> {
  readonly keyOf: (item: T) => string;
  /** Makes what is in the row; called when the item has changed. */
  readonly draw: (row: HTMLTableRowElement, item: T) => void;
  /** What changes by itself; called every time. It leaves alone what can be clicked or has the focus. */
  readonly update?: (row: HTMLTableRowElement, item: T) => void;
}

/** Rows of a table. What has not changed is left alone: a click or the focus is not lost because something else goes on. */
export function keyedRows<T>({ keyOf, draw, update }: RowDrawing<T>): KeyedRows<T> {
  const body = element('tbody');
  const known = new Map<string, { readonly row: HTMLTableRowElement; readonly drawn: string }>();
  const rowOf = (item: T) => {
    const drawn = JSON.stringify(item);
    const before = known.get(keyOf(item));
    const row = before?.row ?? element('tr');
    if (before?.drawn !== drawn) draw(row, item);
    known.set(keyOf(item), { row, drawn });
    update?.(row, item);
    return row;
  };
  return {
    body,
    show: items => {
      const rows = items.map(rowOf);
      const isSame = rows.length === body.rows.length && rows.every((row, at) => row === body.rows[at]);
      if (!isSame) body.replaceChildren(...rows);
    },
  };
}
