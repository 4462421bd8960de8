/** Builds DOM nodes: `element("p", { class: "hint" }, "text", node)`. A boolean attribute is present when true. */

export type Child = Node | string;
export type Attributes = Readonly<Record<string, string | number | boolean>>;

function assign<T extends Element>(node: T, attributes: Attributes, children: readonly Child[]): T {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false) node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children);
  return node;
}

export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  return assign(document.createElement(tag), attributes, children);
}

export function svg<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly Child[]
): SVGElementTagNameMap[K] {
  return assign(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

/** The element of the page with this id, which index.html must hold. */
export function byId(id: string): HTMLElement {
  const node = document.getElementById(id);
  if (node === null) throw new Error(`index.html has no element #${id}`);
  return node;
}

/** The same, of a known kind. */
export function byIdAs<T extends HTMLElement>(id: string, kind: new () => T): T {
  const node = byId(id);
  if (node instanceof kind) return node;
  throw new Error(`#${id} is not a ${kind.name}`);
}

export function button(label: string, attributes: Attributes, onClick: () => void): HTMLButtonElement {
  const node = element("button", { type: "button", ...attributes }, label);
  node.addEventListener("click", onClick);
  return node;
}
