// Pointer, keyboard, buttons and themes; and the beginning.

const tip = document.getElementById("tip");
const picked = { hovered: null, chosen: null };
let scheduled = false;
let saying = 0;

function redraw() {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(() => {
    scheduled = false;
    draw();
  });
}

function show(from, to) {
  const longest = WHOLE.to - WHOLE.from;
  const span = Math.min(longest, Math.max(SHORTEST_VIEW, to - from));
  const middle = (from + to) / 2;
  view.from = Math.min(Math.max(WHOLE.from, middle - span / 2), WHOLE.to - span);
  view.to = view.from + span;
  measure();
  lanes.dataset.from = view.from;
  lanes.dataset.to = view.to;
  // Once it has come to rest: a screen reader should not hear each step, and percentiles take a while.
  clearTimeout(saying);
  saying = setTimeout(sayView, 150);
  redraw();
}

const zoom = (factor, at = (view.from + view.to) / 2) => show(at - (at - view.from) * factor, at + (view.to - at) * factor);
const pan = (share) => {
  const step = share * (view.to - view.from);
  const allowed = Math.min(Math.max(step, WHOLE.from - view.from), WHOLE.to - view.to);
  show(view.from + allowed, view.to + allowed);
};

function choose(item, go = false) {
  picked.chosen = item;
  document.getElementById("chosen").replaceChildren(...(item ? [cardOf(item)] : []));
  if (item && go) reveal(item);
  redraw();
}

const columnsOf = (item) => (item.kind === "bar" ? bars : requests);

function reveal(item, close = false) {
  const { start, end } = columnsOf(item);
  const [from, to] = [start[item.index], end[item.index]];
  const span = Math.max(view.to - view.from, (to - from) * 1.2);
  if (close) show(from - (to - from) * 0.75, to + (to - from) * 0.75);
  else if (from < view.from || to > view.to) show((from + to - span) / 2, (from + to + span) / 2);
}

function step(kind, by) {
  const { start, count } = kind === "bar" ? bars : requests;
  if (!count) return;
  let index;
  if (picked.chosen && picked.chosen.kind === kind) index = picked.chosen.index + by;
  else index = firstFrom(Int32Array.from({ length: count }, (_, i) => i), start, view.from) + (by < 0 ? by : 0);
  index = Math.min(count - 1, Math.max(0, index));
  choose({ kind, index }, true);
}

// --- what is under the pointer ---

function itemAt(x, y) {
  const row = rows.find((candidate) => y >= candidate.y && y < candidate.y + candidate.height);
  if (!row || x < GUTTER) return null;
  if (row.kind === "bars") return barAt(row, x);
  if (row.kind === "fate" && shown[row.fate]) return requestAt(row, x, y);
  if (row.kind === "latency") return latencyAt(row, x, y);
  return null;
}

function barAt(row, x) {
  const order = byLane[row.lane];
  const slack = 3 * ((view.to - view.from) / plotWidth);
  const time = timeAt(x);
  let best = null;
  let nearest = slack;
  for (let n = firstFrom(order, latestEnd, time - slack); n < order.length; n++) {
    const i = order[n];
    if (bars.start[i] > time + slack) break;
    const distance = Math.max(0, bars.start[i] - time, time - bars.end[i]);
    if (distance < nearest || (distance === 0 && best === null)) {
      nearest = distance;
      best = { kind: "bar", index: i };
    }
  }
  return best;
}

function requestAt(row, x, y) {
  const { order } = row;
  const pixel = (view.to - view.from) / plotWidth;
  const time = timeAt(x);
  const from = firstFrom(order, requests.start, time - 5 * pixel);
  const to = firstFrom(order, requests.start, time + 5 * pixel);
  let best = -1;
  for (let n = from; n < to; n++) {
    const i = order[n];
    if (best < 0 || Math.abs(requests.start[i] - time) < Math.abs(requests.start[best] - time)) best = i;
  }
  if (best < 0) return spanAt(row, time, y);
  const near = firstFrom(order, requests.start, requests.start[best] + pixel / 2)
    - firstFrom(order, requests.start, requests.start[best] - pixel / 2);
  return { kind: "request", index: best, others: Math.max(0, near - 1) };
}

// Where few are in view they are drawn with their lengths.
function spanAt(row, time, y) {
  const { order } = row;
  const from = firstFrom(order, requests.start, view.from);
  if (firstFrom(order, requests.start, view.to) - from >= SPANS_BELOW) return null;
  let best = null;
  for (let n = from; n < order.length && requests.start[order[n]] < time; n++) {
    const i = order[n];
    if (requests.end[i] >= time && (best === null || Math.abs(spanY(row, i) - y) < Math.abs(spanY(row, best) - y))) best = i;
  }
  return best === null ? null : { kind: "request", index: best };
}

function latencyAt(row, x, y) {
  const pixel = (view.to - view.from) / plotWidth;
  const time = timeAt(x);
  let best = null;
  let nearest = 64;
  const to = firstFrom(allRequests, requests.start, time + 8 * pixel);
  for (let i = firstFrom(allRequests, requests.start, time - 8 * pixel); i < to; i++) {
    if (!shown[requests.fate[i]]) continue;
    const distance = (xOf(requests.start[i]) - x) ** 2 + (latencyY(row, requests.seconds[i]) - y) ** 2;
    if (distance < nearest) {
      nearest = distance;
      best = { kind: "request", index: i };
    }
  }
  return best;
}

function hover(event) {
  const box = lanes.getBoundingClientRect();
  const item = itemAt(event.clientX - box.left, event.clientY - box.top);
  const same = item && picked.hovered && item.kind === picked.hovered.kind && item.index === picked.hovered.index;
  if (!same) {
    picked.hovered = item;
    tip.replaceChildren(...(item ? [cardOf(item)] : []));
    tip.hidden = !item;
    redraw();
  }
  if (!item) return;
  const { offsetWidth: width, offsetHeight: height } = tip;
  tip.style.left = `${Math.max(8, Math.min(event.clientX + 14, window.innerWidth - width - 8))}px`;
  const below = event.clientY + 18;
  tip.style.top = `${below + height < window.innerHeight ? below : Math.max(8, event.clientY - height - 12)}px`;
}

// --- pointer ---

let drag = null;

lanes.addEventListener("pointerdown", (event) => {
  const x = event.clientX - lanes.getBoundingClientRect().left;
  drag = { x, from: view.from, to: view.to, moved: false, range: event.shiftKey ? timeAt(x) : null };
  lanes.setPointerCapture(event.pointerId);
});

lanes.addEventListener("pointermove", (event) => {
  if (!drag) {
    hover(event);
    return;
  }
  const x = event.clientX - lanes.getBoundingClientRect().left;
  if (Math.abs(x - drag.x) > 3) {
    drag.moved = true;
    lanes.classList.add("dragging");
    tip.hidden = true;
  }
  if (drag.moved && drag.range === null) {
    const span = drag.to - drag.from;
    const wanted = drag.from - ((x - drag.x) / plotWidth) * span;
    const from = Math.min(Math.max(WHOLE.from, wanted), WHOLE.to - span);
    show(from, from + span);
  }
});

lanes.addEventListener("pointerup", (event) => {
  if (!drag) return;
  const box = lanes.getBoundingClientRect();
  const x = event.clientX - box.left;
  if (!drag.moved) choose(itemAt(x, event.clientY - box.top));
  else if (drag.range !== null) show(...[drag.range, timeAt(x)].sort((a, b) => a - b));
  drag = null;
  lanes.classList.remove("dragging");
});

lanes.addEventListener("pointercancel", () => {
  drag = null;
  lanes.classList.remove("dragging");
});

lanes.addEventListener("pointerleave", () => {
  picked.hovered = null;
  tip.hidden = true;
  redraw();
});

lanes.addEventListener("dblclick", (event) => zoom(0.4, timeAt(event.clientX - lanes.getBoundingClientRect().left)));

lanes.addEventListener(
  "wheel",
  (event) => {
    const sideways = event.shiftKey ? event.deltaY : event.deltaX;
    const whole = view.to - view.from >= WHOLE.to - WHOLE.from;
    // What cannot zoom out any further scrolls the page.
    if (whole && (sideways || event.deltaY > 0)) return;
    event.preventDefault();
    if (Math.abs(sideways) > Math.abs(event.shiftKey ? 0 : event.deltaY)) pan(sideways / plotWidth);
    else zoom(Math.exp(Math.max(-1, Math.min(1, event.deltaY * 0.002))), timeAt(event.clientX - lanes.getBoundingClientRect().left));
  },
  { passive: false },
);

let brush = null;
const overviewTime = (event) => {
  const x = event.clientX - overview.getBoundingClientRect().left - GUTTER;
  return Math.min(WHOLE.to, Math.max(0, (x / plotWidth) * WHOLE.to));
};

overview.addEventListener("pointerdown", (event) => {
  brush = overviewTime(event);
  overview.setPointerCapture(event.pointerId);
});
overview.addEventListener("pointermove", (event) => {
  if (brush === null) return;
  const at = overviewTime(event);
  if (Math.abs(at - brush) > WHOLE.to / 300) show(Math.min(at, brush), Math.max(at, brush));
});
overview.addEventListener("pointerup", (event) => {
  const span = view.to - view.from;
  const at = overviewTime(event);
  if (brush !== null && Math.abs(at - brush) <= WHOLE.to / 300) {
    const from = Math.min(Math.max(WHOLE.from, at - span / 2), WHOLE.to - span);
    show(from, from + span);
  }
  brush = null;
});

// --- keyboard and buttons ---

const KEYS = {
  ArrowLeft: () => pan(-0.2),
  ArrowRight: () => pan(0.2),
  "+": () => zoom(0.6),
  "=": () => zoom(0.6),
  "-": () => zoom(1 / 0.6),
  0: () => show(WHOLE.from, WHOLE.to),
  Home: () => show(WHOLE.from, WHOLE.from + view.to - view.from),
  End: () => show(WHOLE.to - (view.to - view.from), WHOLE.to),
  n: () => step("bar", 1),
  p: () => step("bar", -1),
  N: () => step("request", 1),
  P: () => step("request", -1),
  Enter: () => picked.chosen && reveal(picked.chosen, true),
  Escape: () => choose(null),
};

lanes.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(KEYS, event.key)) return;
  event.preventDefault();
  KEYS[event.key]();
});

document.getElementById("zoom-in").addEventListener("click", () => zoom(0.5));
document.getElementById("zoom-out").addEventListener("click", () => zoom(2));
document.getElementById("fit").addEventListener("click", () => show(WHOLE.from, WHOLE.to));

FATES.forEach((fate, index) => {
  const count = DATA.figures.fates[index];
  if (!count) return;
  const button = element("button", { type: "button", "aria-pressed": "true", "data-fate": fate });
  button.append(icon(fate), fate, " ", element("b", {}, grouping(count)));
  button.addEventListener("click", () => {
    shown[index] = !shown[index];
    button.setAttribute("aria-pressed", String(shown[index]));
    redraw();
  });
  document.getElementById("fates").append(button);
});

// --- themes ---

const prefersDark = window.matchMedia("(prefers-color-scheme: dark)");

function setTheme(dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  readColours();
  redraw();
}

document.getElementById("theme").addEventListener("click", () => {
  setTheme(document.documentElement.dataset.theme !== "dark");
});
prefersDark.addEventListener("change", (event) => setTheme(event.matches));

layOut();
sayAbout();
sayFigures();
sayTables(choose);
setTheme(prefersDark.matches);
show(WHOLE.from, WHOLE.to);
sayView();
new ResizeObserver(redraw).observe(lanes);
