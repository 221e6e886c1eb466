// Elements, made and brought up to date. Whatever the node says becomes text or an
// attribute here, and never markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, props, children) {
  for (const [name, value] of Object.entries(props || {})) {
    if (value === undefined || value === null || value === false) continue;
    node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false || child === "") continue;
    node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return node;
}

// el returns an element of HTML with attributes and children, which are nodes or text.
export function el(name, props, ...children) {
  return fill(document.createElement(name), props, children);
}

// svg returns an element of SVG.
export function svg(name, props, ...children) {
  return fill(document.createElementNS(SVG, name), props, children);
}

const keyOf = (n) => (n.nodeType === Node.ELEMENT_NODE ? n.getAttribute("data-key") : null);

// render gives parent the children that are wanted. Those that are there already are
// kept and brought up to date, so that focus, selection and scrolling stay.
export function render(parent, ...wanted) {
  patch(parent, wanted.flat(Infinity).filter((n) => n));
}

function patch(parent, wanted) {
  const keyed = new Map();
  for (const n of parent.childNodes) {
    const key = keyOf(n);
    if (key !== null) keyed.set(key, n);
  }
  let at = parent.firstChild;
  for (const next of wanted) {
    const key = keyOf(next);
    const have = key !== null ? keyed.get(key) : at && keyOf(at) === null ? at : null;
    if (!have || have.nodeName !== next.nodeName) {
      parent.insertBefore(next, at);
      continue;
    }
    keyed.delete(key);
    if (have === at) at = at.nextSibling;
    else parent.insertBefore(have, at);
    update(have, next);
  }
  while (at) {
    const rest = at.nextSibling;
    at.remove();
    at = rest;
  }
}

function update(have, next) {
  if (have.nodeType !== Node.ELEMENT_NODE) {
    if (have.data !== next.data) have.data = next.data;
    return;
  }
  for (const { name } of [...have.attributes]) {
    if (!next.hasAttribute(name)) have.removeAttribute(name);
  }
  for (const { name, value } of next.attributes) {
    if (have.getAttribute(name) !== value) have.setAttribute(name, value);
  }
  patch(have, [...next.childNodes]);
}
