"use strict";
// Choosing kernels, switching views, and the graph: layered drawing of a directed acyclic graph.
const data = JSON.parse(document.getElementById("data").textContent);
const svg = document.getElementById("graph");
// The kernels of what was pressed, of which one is shown, and the line if it was one.
const chosen = { kernels: new Set(), shown: 0, line: null };
const folded = new Set();

// Layout. Nodes {w, h, above: [nodes]} get x and y (their centres), edges the points they pass.
// Each node lies one layer below the lowest it reads; edges over several layers have a place in
// each; the order within layers comes from sweeps by the mean of neighbours' places.
function layered(nodes, gapX, gapY) {
  const below = nodes.map(() => []);
  nodes.forEach((node, k) => node.above.forEach((a) => below[a].push(k)));
  const layer = nodes.map(() => 0);
  nodes.forEach((node, k) => { for (const a of node.above) layer[k] = Math.max(layer[k], layer[a] + 1); });
  // What reads nothing stands just above who reads it.
  nodes.forEach((node, k) => {
    if (!node.above.length && below[k].length) layer[k] = Math.min(...below[k].map((b) => layer[b])) - 1;
  });
  const count = Math.max(0, ...layer) + 1;
  const layers = Array.from({ length: count }, () => []);
  const cells = nodes.map((node, k) => ({ node: k, layer: layer[k], w: node.w, h: node.h, up: [], down: [] }));
  const routes = [];
  nodes.forEach((node, k) => node.above.forEach((a) => {
    let last = cells[a];
    const route = [last];
    for (let l = layer[a] + 1; l < layer[k]; l++) {
      const cell = { node: -1, layer: l, w: 6, h: 0, up: [last], down: [] };
      last.down.push(cell); route.push(cell); cells.push(cell); last = cell;
    }
    last.down.push(cells[k]); cells[k].up.push(last); route.push(cells[k]);
    routes.push({ from: a, to: k, cells: route });
  }));
  for (const cell of cells) layers[cell.layer].push(cell);
  const number = () => layers.forEach((row) => row.forEach((cell, k) => { cell.place = k; }));
  number();
  for (let sweep = 0; sweep < 8; sweep++) {
    const down = sweep % 2 === 0;
    const rows = down ? layers : [...layers].reverse();
    for (const row of rows) {
      for (const cell of row) {
        const near = down ? cell.up : cell.down;
        cell.key = near.length ? near.reduce((sum, c) => sum + c.place, 0) / near.length : cell.place;
      }
      row.sort((a, b) => a.key - b.key || a.place - b.place);
      row.forEach((cell, k) => { cell.place = k; });
    }
  }
  // Across: as near to the neighbours as the order allows.
  for (const row of layers) {
    let x = 0;
    for (const cell of row) { cell.x = x + cell.w / 2; x += cell.w + gapX; }
  }
  for (let sweep = 0; sweep < 12; sweep++) {
    const down = sweep % 2 === 0;
    for (const row of down ? layers : [...layers].reverse()) {
      const wish = row.map((cell) => {
        const near = down ? cell.up : cell.down;
        return near.length ? near.reduce((sum, c) => sum + c.x, 0) / near.length : cell.x;
      });
      place(row, wish, gapX);
    }
  }
  const tall = layers.map((row) => Math.max(0, ...row.map((cell) => cell.h)));
  let y = 0;
  const middle = tall.map((h) => { const at = y + h / 2; y += h + gapY; return at; });
  for (const cell of cells) cell.y = middle[cell.layer];
  const left = Math.min(0, ...cells.map((cell) => cell.x - cell.w / 2));
  const right = Math.max(0, ...cells.map((cell) => cell.x + cell.w / 2));
  for (const cell of cells) cell.x -= left;
  nodes.forEach((node, k) => { node.x = cells[k].x; node.y = cells[k].y; });
  // Where the top is, for views that do not show it all.
  const head = cells.filter((cell) => cell.layer === 0);
  const top = head.reduce((sum, cell) => sum + cell.x, 0) / Math.max(1, head.length);
  return { top, width: right - left, height: Math.max(0, y - gapY),
    routes: routes.map((r) => ({ from: r.from, to: r.to, points: r.cells.map((c) => [c.x, c.y]) })) };
}

// Places in order, none nearer than the gap, with the least squares of the distance to their wishes.
function place(row, wish, gap) {
  const blocks = [];
  row.forEach((cell, k) => {
    let block = { start: k, end: k, sum: wish[k], size: 1, width: cell.w, offsets: [0] };
    block.first = block.sum;
    blocks.push(block);
    while (blocks.length > 1) {
      const [before, own] = [blocks[blocks.length - 2], blocks[blocks.length - 1]];
      const step = before.offsets[before.offsets.length - 1] + (row[before.end].w + row[own.start].w) / 2 + gap;
      if (before.first + step <= own.first + 1e-6) break;
      const offsets = [...before.offsets, ...own.offsets.map((o) => o + step)];
      const sum = before.sum + own.sum - own.size * step;
      const size = before.size + own.size;
      blocks.splice(-2, 2, { start: before.start, end: own.end, sum, size, offsets, first: sum / size });
    }
  });
  for (const block of blocks) block.offsets.forEach((o, k) => { row[block.start + k].x = block.first + o; });
}

// Drawing.
const NS = "http://www.w3.org/2000/svg";
function add(parent, name, attributes, text) {
  const element = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes || {})) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  parent.appendChild(element);
  return element;
}
const cut = (text, most) => (text.length > most ? text.slice(0, most - 1) + "…" : text);
const widthOf = (label, type) => Math.max(44, 7.1 * cut(label, 34).length + 16, 5.6 * cut(type, 34).length + 16);

function edge(parent, points, from, to) {
  // From the lower border of one node to the upper border of the other.
  const path = points.map((p) => [...p]);
  path[0][1] += from.h / 2;
  path[path.length - 1][1] -= to.h / 2 + 5;
  let d = `M${path[0]}`;
  for (let k = 1; k < path.length; k++) {
    const [[x0, y0], [x1, y1]] = [path[k - 1], path[k]];
    const bend = (y0 + y1) / 2;
    d += `C${x0},${bend} ${x1},${bend} ${x1},${y1}`;
  }
  const drawn = add(parent, "path", { class: "edge", d });
  const [x, y] = path[path.length - 1];
  add(parent, "path", { class: "head", d: `M${x - 3.5},${y - 1}h7l-3.5,6z` });
  return drawn;
}

function drawNode(parent, node, record, x, y, identity) {
  const [label, type, , kernels, lines] = record;
  const kernel = data.kernels[kernels[0]];
  const classes = ["node", ...(kernel ? ["of"] : []), ...(kernel && kernel.alarm ? ["alarm"] : [])];
  const g = add(parent, "g", { class: classes.join(" "), transform: `translate(${x - node.w / 2},${y - node.h / 2})`,
    style: kernel ? `--hue:${kernel.hue}` : "", tabindex: kernel ? 0 : -1, role: kernel ? "button" : "img",
    "aria-label": `${label}, ${type}` + (kernels.length ? `, kernel ${kernels.join(", ")}` : ""), "data-node": identity });
  g.dataset.kernels = kernels.join(" ");
  g.dataset.lines = JSON.stringify(lines);
  add(g, "title", {}, `${label}: ${type}` + (lines.length ? `\n${lines.join("\n")}` : ""));
  add(g, "rect", { width: node.w, height: node.h, rx: 5 });
  add(g, "text", { x: node.w / 2, y: 15, "text-anchor": "middle" }, cut(label, 34));
  add(g, "text", { class: "type", x: node.w / 2, y: 28, "text-anchor": "middle" }, cut(type, 34));
  if (kernel) press(g, () => choose(kernels, lines[0] || null));
}

function flat(records) {
  const nodes = records.map(([label, type, operands]) => ({ w: widthOf(label, type), h: 36, above: operands }));
  const found = layered(nodes, 16, 30);
  const layer = add(svg, "g", { id: "world" });
  for (const r of found.routes) edge(layer, r.points, nodes[r.from], nodes[r.to]);
  nodes.forEach((node, k) => drawNode(layer, node, records[k], node.x, node.y, k));
  return found;
}

// Kernels as boxes that hold the operations they compute, laid out inside, or folded to a name.
function nested(kernelRecords, operations) {
  const boxes = kernelRecords.map((record) => {
    const number = record[3][0];
    const box = { record, number, above: record[2], inside: null };
    if (number === undefined) return { ...box, w: widthOf(record[0], record[1]), h: 36 };
    const members = operations.map((o, k) => k).filter((k) => operations[k][3].includes(number));
    box.count = members.length;
    const title = 1.08 * widthOf(`▸ ${number} ${cut(record[0], 30)} !`, record[1]) + 14;
    if (folded.has(number) || !members.length) return { ...box, w: title, h: 38 };
    const at = new Map(members.map((k, place) => [k, place]));
    const nodes = members.map((k) => ({ w: widthOf(operations[k][0], operations[k][1]), h: 36,
      above: operations[k][2].filter((o) => at.has(o)).map((o) => at.get(o)) }));
    const found = layered(nodes, 12, 24);
    return { ...box, inside: { nodes, found, members }, w: Math.max(title, found.width + 24), h: found.height + 46 };
  });
  const found = layered(boxes, 22, 34);
  const layer = add(svg, "g", { id: "world" });
  for (const r of found.routes) {
    const drawn = edge(layer, r.points, boxes[r.from], boxes[r.to]);
    drawn.dataset.kernels = [boxes[r.from].number, boxes[r.to].number].join(" ");
  }
  boxes.forEach((box, k) => {
    if (box.number === undefined) return drawNode(layer, box, box.record, box.x, box.y, `k${k}`);
    const kernel = data.kernels[box.number];
    const g = add(layer, "g", { class: `box${box.inside ? "" : " folded"}${kernel.alarm ? " alarm" : ""}`,
      transform: `translate(${box.x - box.w / 2},${box.y - box.h / 2})`, style: `--hue:${kernel.hue}`, tabindex: 0,
      role: "button", "aria-label": `kernel ${box.number}, ${kernel.name}`, "data-box": box.number });
    g.dataset.kernels = String(box.number);
    add(g, "title", {}, `${kernel.name} (${kernel.kind}): ${box.record[1]}`);
    add(g, "rect", { width: box.w, height: box.h, rx: 7 });
    add(g, "text", { class: "title", x: 22, y: 16 }, `${box.number} ${cut(kernel.name, 30)}${kernel.alarm ? " !" : ""}`);
    if (!box.inside) add(g, "text", { class: "type", x: 22, y: 30 }, cut(box.record[1], 34));
    if (box.count) {
      const sign = add(g, "text", { class: "fold", x: 8, y: 16, role: "button", tabindex: 0,
        "aria-label": `${box.inside ? "fold" : "unfold"} kernel ${box.number}`, "data-fold": box.number }, box.inside ? "▾" : "▸");
      press(sign, () => { if (!folded.delete(box.number)) folded.add(box.number); draw(true); });
    }
    press(g, () => choose([box.number], null));
    if (!box.inside) return;
    const { nodes, found: inner, members } = box.inside;
    const content = add(g, "g", { transform: `translate(${(box.w - inner.width) / 2},34)` });
    for (const r of inner.routes) edge(content, r.points, nodes[r.from], nodes[r.to]);
    nodes.forEach((node, n) => {
      const record = [...operations[members[n]]];
      record[3] = [box.number];
      drawNode(content, node, record, node.x, node.y, members[n]);
    });
  });
  return found;
}

function press(element, act) {
  element.addEventListener("click", (event) => { event.stopPropagation(); if (!moved) act(); });
  element.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); event.stopPropagation(); act(); }
  });
}

let view = { x: 0, y: 0, scale: 1 };
let size = { width: 1, height: 1, top: 0 };
let moved = false;
function draw(keep) {
  if (!svg) return;
  svg.replaceChildren();
  const stage = document.getElementById("stage").value;
  size = stage === "fused" ? nested(data.graphs.kernels, data.graphs.operations) : flat(data.graphs[stage]);
  const isNested = stage === "fused";
  for (const name of ["fold", "unfold"]) document.getElementById(name).disabled = !isNested;
  if (keep) look(); else fit(LEGIBLE);
  mark();
}
function look() {
  const world = document.getElementById("world");
  if (world) world.setAttribute("transform", `translate(${view.x},${view.y}) scale(${view.scale})`);
}
// All of it, or from the top on, no smaller than `least`.
const LEGIBLE = 0.75;
function fit(least = 0) {
  const { clientWidth: w, clientHeight: h } = svg;
  if (!w) return;
  const scale = Math.min(1.4, (w - 24) / size.width, (h - 24) / size.height);
  view.scale = Math.max(scale, least);
  view.x = size.width * view.scale > w ? w / 2 - size.top * view.scale : (w - size.width * view.scale) / 2;
  view.y = size.height * view.scale > h ? 12 : (h - size.height * view.scale) / 2;
  look();
}
function zoom(factor, x, y) {
  const scale = Math.min(4, Math.max(0.05, view.scale * factor));
  view.x = x - (x - view.x) * (scale / view.scale);
  view.y = y - (y - view.y) * (scale / view.scale);
  view.scale = scale;
  look();
}
// The part of the graph with the chosen nodes comes into sight.
function show() {
  const found = svg.querySelector(".chosen");
  if (!found || !svg.clientWidth) return;
  const [own, all] = [found.getBoundingClientRect(), svg.getBoundingClientRect()];
  const outside = own.right < all.left || own.left > all.right || own.bottom < all.top || own.top > all.bottom;
  if (!outside) return;
  view.x += all.left + all.width / 2 - (own.left + own.width / 2);
  view.y += all.top + all.height / 2 - (own.top + own.height / 2);
  look();
}

// Choosing.
function choose(kernels, line) {
  chosen.kernels = new Set(kernels.map(Number));
  chosen.shown = Number(kernels[0]);
  chosen.line = line;
  mark();
  if (svg) show();
}
function mark() {
  const has = (text) => text.split(" ").some((k) => k && chosen.kernels.has(Number(k)));
  for (const e of document.querySelectorAll("[data-kernels]")) {
    let on = has(e.dataset.kernels);
    if (on && e.classList.contains("made")) on = chosen.line === null || e.dataset.line === chosen.line;
    if (on && e.dataset.lines && chosen.line !== null) on = JSON.parse(e.dataset.lines).includes(chosen.line);
    e.classList.toggle("chosen", on);
    if (e.classList.contains("made")) e.setAttribute("aria-pressed", on);
  }
  for (const e of document.querySelectorAll("[data-kernel]")) e.classList.toggle("chosen", has(e.dataset.kernel));
  for (const e of document.querySelectorAll(".detail")) e.hidden = e.id !== `kernel-${chosen.shown}`;
  switches();
  document.getElementById("none").hidden = chosen.kernels.size > 0;
}
// Where a line became several kernels: which of them is shown.
function switches() {
  const bar = document.getElementById("switch");
  bar.replaceChildren();
  if (chosen.kernels.size < 2) return;
  bar.append(`${chosen.kernels.size} kernels`);
  for (const number of chosen.kernels) {
    const button = document.createElement("button");
    const chip = document.querySelector(`#kernel-${number} .chip`).cloneNode(true);
    button.type = "button";
    button.setAttribute("aria-label", `show kernel ${number}`);
    button.setAttribute("aria-pressed", number === chosen.shown);
    button.append(chip);
    button.addEventListener("click", () => { chosen.shown = number; mark(); });
    bar.append(button);
  }
}
for (const e of document.querySelectorAll(".made")) {
  e.addEventListener("click", () => choose(e.dataset.kernels.split(" "), e.dataset.line));
}
for (const e of document.querySelectorAll("[data-kernel]")) press(e, () => choose([e.dataset.kernel], null));

// Tabs.
const tabs = [...document.querySelectorAll("[role=tab]")];
function open(tab) {
  for (const t of tabs) {
    const on = t === tab;
    t.setAttribute("aria-selected", on);
    t.tabIndex = on ? 0 : -1;
    document.getElementById(t.getAttribute("aria-controls")).hidden = !on;
  }
  if (tab.id === "tab-Graph" && svg) fit(LEGIBLE);
}
tabs.forEach((tab, k) => {
  tab.addEventListener("click", () => open(tab));
  tab.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = tabs[(k + step + tabs.length) % tabs.length];
    open(next);
    next.focus();
  });
});

document.getElementById("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = isDark ? "light" : "dark";
});

if (svg) {
  const numbers = Object.keys(data.kernels).map(Number);
  if (data.graphs.operations.length > 60) numbers.forEach((n) => folded.add(n));
  const on = (id, act) => document.getElementById(id).addEventListener("click", act);
  document.getElementById("stage").addEventListener("change", () => draw(false));
  on("fold", () => { numbers.forEach((n) => folded.add(n)); draw(false); });
  on("unfold", () => { folded.clear(); draw(false); });
  on("fit", () => fit());
  const middle = (factor) => zoom(factor, svg.clientWidth / 2, svg.clientHeight / 2);
  on("larger", () => middle(1.3));
  on("smaller", () => middle(1 / 1.3));
  svg.addEventListener("wheel", (event) => {
    event.preventDefault();
    const all = svg.getBoundingClientRect();
    zoom(Math.exp(-event.deltaY / 400), event.clientX - all.left, event.clientY - all.top);
  }, { passive: false });
  svg.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] };
    if (event.key === "+" || event.key === "=") middle(1.3);
    else if (event.key === "-") middle(1 / 1.3);
    else if (event.key in steps) { view.x += steps[event.key][0]; view.y += steps[event.key][1]; look(); } else return;
    event.preventDefault();
  });
  let from = null;
  svg.addEventListener("pointerdown", (event) => { from = [event.clientX, event.clientY]; moved = false; });
  addEventListener("pointermove", (event) => {
    if (!from) return;
    const [dx, dy] = [event.clientX - from[0], event.clientY - from[1]];
    if (!moved && Math.hypot(dx, dy) < 4) return;
    moved = true;
    svg.classList.add("dragged");
    view.x += dx; view.y += dy;
    from = [event.clientX, event.clientY];
    look();
  });
  addEventListener("pointerup", () => { from = null; svg.classList.remove("dragged"); setTimeout(() => { moved = false; }); });
  addEventListener("resize", () => fit(LEGIBLE));
  draw(false);
}
