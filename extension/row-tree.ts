import * as vscode from 'vscode';
import { isSameRow, type Row } from './row.ts';

/** A row as the tree holds it: the same object for as long as the thing is shown, so that only what has changed is drawn anew. */
export interface RowElement {
  readonly id: string;
  row: Row;
}

export interface RowSource {
  roots(): readonly Row[];
  childrenOf(row: Row): Promise<readonly Row[]>;
  /** Where what is under a row is known at any time, and may change while the row stays the same: then it is looked at again with it. */
  readonly childrenNow?: (row: Row) => readonly Row[];
  /** Asked only when the mouse rests on a row. */
  tooltipOf(row: Row): vscode.MarkdownString | undefined;
  /** What a click does. */
  commandOf(row: Row): vscode.Command | undefined;
}

/** Shows rows as a tree, and tells VS Code of as little as possible. */
export class RowTree implements vscode.TreeDataProvider<RowElement>, vscode.Disposable {
  readonly #source: RowSource;
  readonly #changed = new vscode.EventEmitter<RowElement | undefined>();
  readonly #elements = new Map<string, RowElement>();
  #roots: readonly string[] | undefined;
  /** Of rows that were unfolded, where children are known at any time. */
  readonly #children = new Map<string, readonly string[]>();
  readonly onDidChangeTreeData = this.#changed.event;

  constructor(source: RowSource) {
    this.#source = source;
  }

  /** Looks at the source again. */
  refresh(): void {
    if (!this.#roots) return;
    const rows = this.#source.roots();
    if (idsOf(rows).join('\n') !== this.#roots.join('\n')) this.#changed.fire(undefined);
    else for (const row of rows) this.#look(row);
  }

  getChildren(parent?: RowElement): Promise<RowElement[]> | RowElement[] {
    if (parent) return this.#childrenOf(parent);
    const rows = this.#source.roots();
    this.#roots = idsOf(rows);
    this.#forget();
    return rows.map(row => this.#elementOf(row));
  }

  getTreeItem({ row }: RowElement): vscode.TreeItem {
    const { Collapsed, None } = vscode.TreeItemCollapsibleState;
    const item = new vscode.TreeItem(row.label, row.expandable ? Collapsed : None);
    item.id = row.id;
    item.contextValue = row.kind;
    item.iconPath = new vscode.ThemeIcon(
      row.icon.name,
      row.icon.color ? new vscode.ThemeColor(row.icon.color) : undefined,
    );
    item.accessibilityInformation = { label: row.spoken };
    if (row.description !== undefined) item.description = row.description;
    const command = this.#source.commandOf(row);
    if (command) item.command = command;
    return item;
  }

  resolveTreeItem(item: vscode.TreeItem, { row }: RowElement): vscode.TreeItem {
    item.tooltip = this.#source.tooltipOf(row);
    return item;
  }

  dispose(): void {
    this.#changed.dispose();
  }

  #elementOf(row: Row): RowElement {
    const known = this.#elements.get(row.id);
    if (known) known.row = row;
    const element = known ?? { id: row.id, row };
    this.#elements.set(row.id, element);
    return element;
  }

  async #childrenOf({ id, row }: RowElement): Promise<RowElement[]> {
    const rows = await this.#source.childrenOf(row);
    if (this.#source.childrenNow) this.#children.set(id, idsOf(rows));
    return rows.map(child => this.#elementOf(child));
  }

  #look(row: Row): void {
    const known = this.#children.get(row.id);
    const children = (known && this.#source.childrenNow?.(row)) ?? [];
    if (known && known.join('\n') !== idsOf(children).join('\n')) this.#redraw(row);
    else for (const one of [row, ...children]) this.#update(one);
  }

  #update(row: Row): void {
    const known = this.#elements.get(row.id);
    if (known && !isSameRow(known.row, row)) this.#redraw(row);
  }

  /** With what is under it, which is asked for again if it can be seen. */
  #redraw(row: Row): void {
    this.#children.delete(row.id);
    this.#changed.fire(this.#elementOf(row));
  }

  /** Children of what is no longer shown. */
  #forget(): void {
    const isShown = (id: string) => this.#roots?.some(root => id === root || id.startsWith(`${root}/`));
    for (const id of this.#children.keys()) if (!isShown(id)) this.#children.delete(id);
    for (const id of this.#elements.keys()) if (!isShown(id)) this.#elements.delete(id);
  }
}

function idsOf(rows: readonly Row[]): readonly string[] {
  return rows.map(({ id }) => id);
}
