// The pictures: rows of marks on two canvases. Nothing here listens to the user.

const overview = document.getElementById("overview");
const lanes = document.getElementById("lanes");

const GUTTER = 148;
const MARGIN = 10;
const OVERVIEW_HEIGHT = 52;
const SPANS_BELOW = 400; // requests in a row; above it they are ticks without lengths
const SHAPES_BELOW = 2500;

// In a box of 12 by 12, so that colour is never all that tells fates apart.
const SHAPES = {
  hit: "M6 1.5a4.5 4.5 0 1 0 .01 0z",
  joined: "M6 .5 11.5 6 6 11.5.5 6z",
  inline: "M6 1 11.2 10.6H.8z",
  batched: "M1.6 1.6h8.8v8.8H1.6z",
  split: "M4.2 1h3.6v3.2H11v3.6H7.8V11H4.2V7.8H1V4.2h3.2z",
  cancelled: "M2.6 1 6 4.4 9.4 1 11 2.6 7.6 6 11 9.4 9.4 11 6 7.6 2.6 11 1 9.4 4.4 6 1 2.6z",
  rejected: "M6 11 .8 1.4h10.4z",
  failed: "M5 .8h2v3.4l3-1.7 1 1.7L8 6l3 1.8-1 1.7-3-1.7v3.4H5V7.8L2 9.5 1 7.8 4 6 1 4.2l1-1.7 3 1.7z",
  pending: "M6 1.5a4.5 4.5 0 1 0 .01 0zm0 2a2.5 2.5 0 1 1-.01 0z",
};
const PATHS = FATES.map((fate) => new Path2D(SHAPES[fate]));
const OF_PLACEMENT = { inline: "inline", offload: "batched", split: "split", help: "split" };

let colours = {};
let rows = [];
let latencyRange = [1e-6, 1];
let latencySpan = Math.log(1e6);

function readColours() {
  const style = getComputedStyle(document.documentElement);
  const get = (name) => style.getPropertyValue(`--${name}`).trim();
  const wanted = ["panel", "line", "grid", "text", "quiet", "accent", "band", "brush", ...Object.keys(SHAPES)];
  colours = Object.fromEntries(wanted.map((name) => [name, get(name)]));
}

function layOut() {
  rows = [];
  let y = 0;
  const add = (row) => {
    rows.push({ ...row, y });
    y += row.height;
  };
  add({ kind: "axis", height: 22 });
  add({ kind: "latency", height: 132 });
  DATA.loops.forEach((name, loop) => {
    add({ kind: "title", height: 24, text: name });
    FATES.forEach((fate, index) => {
      const order = byLoopAndFate[loop * FATES.length + index];
      if (order.length) add({ kind: "fate", height: 18, fate: index, order });
    });
    if (byLane[loop].length) add({ kind: "bars", height: 30, text: "work on this thread", lane: loop });
  });
  if (queue.depth.length) {
    add({ kind: "title", height: 24, text: "queue" });
    add({ kind: "queue", height: 44 });
  }
  if (DATA.workers.length) add({ kind: "title", height: 24, text: "workers" });
  DATA.workers.forEach((name, i) => add({ kind: "bars", height: 34, text: name, lane: DATA.loops.length + i }));
  add({ kind: "end", height: 6 });
  lanes.style.height = `${y}px`;
  overview.style.height = `${OVERVIEW_HEIGHT}px`;
  let low = Infinity;
  let high = 0;
  for (const seconds of requests.seconds) {
    low = Math.min(low, seconds);
    high = Math.max(high, seconds);
  }
  low = Math.max(low, 1e-7);
  if (low <= high) latencyRange = [10 ** Math.floor(Math.log10(low)), 10 ** Math.ceil(Math.log10(high * 1.01))];
  latencySpan = Math.log(latencyRange[1] / latencyRange[0]);
}

function context(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  const ratio = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const ctx = canvas.getContext("2d");
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  ctx.clearRect(0, 0, width, height);
  ctx.font = "12px system-ui, 'Liberation Sans', Arial, sans-serif";
  ctx.textBaseline = "middle";
  return { ctx, width, height };
}

// Measured once a frame: asking the document for each mark would take most of the time.
let plotWidth = 50;
let scale = 1; // pixels a second

function measure() {
  plotWidth = Math.max(50, lanes.clientWidth - GUTTER - MARGIN);
  scale = plotWidth / (view.to - view.from);
}

const xOf = (seconds) => GUTTER + (seconds - view.from) * scale;
const timeAt = (x) => view.from + (x - GUTTER) / scale;

function latencyY(row, seconds) {
  const [low, high] = latencyRange;
  const share = Math.log(Math.max(seconds, low) / low) / latencySpan;
  return row.y + row.height - 8 - share * (row.height - 16);
}

// --- the lanes ---

function draw() {
  measure();
  const { ctx, width, height } = context(lanes);
  drawGround(ctx, width, height);
  ctx.save();
  ctx.beginPath();
  ctx.rect(GUTTER, 0, width - GUTTER - MARGIN, height);
  ctx.clip();
  for (const row of rows) {
    if (row.kind === "latency") drawLatencies(ctx, row);
    else if (row.kind === "fate" && shown[row.fate]) drawRequests(ctx, row);
    else if (row.kind === "bars") drawBars(ctx, row);
    else if (row.kind === "queue") drawQueue(ctx, row);
  }
  for (const item of [picked.hovered, picked.chosen]) if (item) drawPicked(ctx, item);
  ctx.restore();
  drawOverview();
}

function drawGround(ctx, width, height) {
  const step = axisStep((view.to - view.from) / (plotWidth / 110));
  for (const row of rows) {
    if (row.kind === "fate" || row.kind === "bars" || row.kind === "queue" || row.kind === "latency") {
      ctx.fillStyle = colours.band;
      ctx.fillRect(GUTTER, row.y + 1, width - GUTTER - MARGIN, row.height - 2);
    }
  }
  ctx.fillStyle = colours.grid;
  for (let at = Math.ceil(view.from / step) * step; at <= view.to; at += step) {
    ctx.fillRect(Math.round(xOf(at)), 22, 1, height);
  }
  ctx.fillStyle = colours.quiet;
  ctx.textAlign = "center";
  for (let at = Math.ceil(view.from / step) * step; at <= view.to; at += step) {
    const x = xOf(at);
    if (x > GUTTER + 14 && x < width - MARGIN - 14) ctx.fillText(axisLabel(at, step), x, 10);
  }
  for (const row of rows) drawLabel(ctx, row);
}

function drawLabel(ctx, row) {
  const middle = row.y + row.height / 2;
  ctx.textAlign = "right";
  ctx.fillStyle = colours.quiet;
  if (row.kind === "title") {
    ctx.textAlign = "left";
    ctx.font = "600 12px system-ui, 'Liberation Sans', Arial, sans-serif";
    ctx.fillStyle = colours.text;
    ctx.fillText(fitted(ctx, row.text, GUTTER - 6), 0, middle + 3);
    ctx.font = "12px system-ui, 'Liberation Sans', Arial, sans-serif";
  } else if (row.kind === "fate") {
    ctx.globalAlpha = shown[row.fate] ? 1 : 0.4;
    ctx.fillText(FATES[row.fate], GUTTER - 26, middle);
    ctx.fillStyle = colours[FATES[row.fate]];
    drawShape(ctx, row.fate, GUTTER - 14, middle, 0.75);
    ctx.globalAlpha = 1;
  } else if (row.kind === "bars") {
    ctx.fillText(fitted(ctx, row.text, GUTTER - 12), GUTTER - 8, middle - 1);
  } else if (row.kind === "queue") {
    ctx.fillText("waiting flights", GUTTER - 8, middle - 8);
    ctx.fillText(`at most ${deepest}`, GUTTER - 8, middle + 8);
  } else if (row.kind === "latency") {
    ctx.textAlign = "left";
    ctx.font = "600 12px system-ui, 'Liberation Sans', Arial, sans-serif";
    ctx.fillStyle = colours.text;
    ctx.fillText("latency", 0, row.y + 12);
    ctx.font = "12px system-ui, 'Liberation Sans', Arial, sans-serif";
    ctx.textAlign = "right";
    for (let at = latencyRange[0]; at <= latencyRange[1] * 1.01; at *= 10) {
      const y = latencyY(row, at);
      ctx.fillStyle = colours.grid;
      ctx.fillRect(GUTTER, Math.round(y), plotWidth, 1);
      ctx.fillStyle = colours.quiet;
      ctx.fillText(duration(at), GUTTER - 8, y);
    }
  }
}

function drawShape(ctx, fate, x, y, size) {
  ctx.save();
  ctx.translate(x - 6 * size, y - 6 * size);
  ctx.scale(size, size);
  ctx.fill(PATHS[fate], "evenodd");
  ctx.restore();
}

function drawLatencies(ctx, row) {
  const from = firstFrom(allRequests, requests.start, view.from);
  const to = firstFrom(allRequests, requests.start, view.to);
  const cells = plotWidth >> 1;
  const seen = to - from > SHAPES_BELOW ? new Uint8Array((cells + 2) * (row.height + 2)) : null;
  // The rare ones last, so that they are seen.
  const order = FATES.map((_, fate) => fate).sort((a, b) => DATA.figures.fates[b] - DATA.figures.fates[a]);
  ctx.globalAlpha = seen ? 0.75 : 0.9;
  for (const fate of order) {
    if (!shown[fate] || !DATA.figures.fates[fate]) continue;
    ctx.fillStyle = colours[FATES[fate]];
    if (seen) seen.fill(0);
    for (let i = from; i < to; i++) {
      if (requests.fate[i] !== fate) continue;
      const x = xOf(requests.start[i]);
      const y = latencyY(row, requests.seconds[i]);
      if (!seen) {
        drawShape(ctx, fate, x, y, 0.6);
        continue;
      }
      const cell = ((y - row.y) >> 1) * cells + ((x - GUTTER) >> 1);
      if (seen[cell]) continue;
      seen[cell] = 1;
      ctx.fillRect(x - 1, y - 1, 2, 2);
    }
  }
  ctx.globalAlpha = 1;
}

function drawRequests(ctx, row) {
  const { order } = row;
  const from = firstFrom(order, requests.start, view.from);
  const to = firstFrom(order, requests.start, view.to);
  const top = row.y + 3;
  const height = row.height - 6;
  ctx.fillStyle = colours[FATES[row.fate]];
  if (to - from < SPANS_BELOW) {
    ctx.globalAlpha = 0.35;
    for (let n = from; n < to; n++) {
      const i = order[n];
      ctx.fillRect(xOf(requests.start[i]), spanY(row, i), Math.max(1, requests.seconds[i] * scale), 2);
    }
    ctx.globalAlpha = 1;
    for (let n = from; n < to; n++) ctx.fillRect(xOf(requests.start[order[n]]) - 0.75, top, 1.5, height);
    return;
  }
  const counts = new Uint16Array(plotWidth + 2);
  for (let n = from; n < to; n++) counts[Math.round(xOf(requests.start[order[n]]) - GUTTER)]++;
  for (let x = 0; x < counts.length; x++) {
    if (!counts[x]) continue;
    // More in one place stand taller.
    const share = Math.min(1, 0.4 + 0.15 * Math.log2(counts[x]));
    ctx.fillRect(GUTTER + x - 0.5, top + height * (1 - share), 1, height * share);
  }
}

const spanY = (row, i) => row.y + 4 + (i % 4) * 3;

function drawBars(ctx, row) {
  const order = byLane[row.lane];
  const from = firstFrom(order, latestEnd, view.from);
  const to = firstFrom(order, bars.start, view.to);
  const top = row.y + 4;
  const height = row.height - 13;
  const thin = { inline: null, batched: null, split: null };
  for (let n = from; n < to; n++) {
    const i = order[n];
    const left = Math.max(GUTTER - 2, xOf(bars.start[i]));
    const right = Math.min(GUTTER + plotWidth + 4, xOf(bars.end[i]));
    const kind = OF_PLACEMENT[names(bars.placement[i])] || "batched";
    if (right - left < 1.5) {
      const covered = (thin[kind] ??= new Float32Array(plotWidth + 4));
      covered[Math.max(0, Math.floor(left - GUTTER))] += Math.max(0.12, right - left);
      continue;
    }
    drawBar(ctx, i, kind, left, top, right - left, height);
  }
  for (const [kind, covered] of Object.entries(thin)) {
    if (!covered) continue;
    ctx.fillStyle = colours[kind];
    for (let x = 0; x < covered.length; x++) {
      if (!covered[x]) continue;
      ctx.globalAlpha = Math.min(1, 0.3 + 0.7 * covered[x]);
      ctx.fillRect(GUTTER + x, top, 1, height);
    }
    ctx.globalAlpha = 1;
  }
}

function drawBar(ctx, i, kind, x, y, width, height) {
  ctx.fillStyle = colours[kind];
  ctx.globalAlpha = bars.finished[i] ? 0.88 : 0.45;
  ctx.beginPath();
  ctx.roundRect(x, y, width - (width > 4 ? 0.75 : 0), height, Math.min(3, width / 3));
  ctx.fill();
  ctx.globalAlpha = 1;
  if (kind === "split" && width > 8) hatch(ctx, x, y, width, height);
  // Below it, how long it was expected to take.
  if (width > 3 && bars.predicted[i] > 0) {
    ctx.fillStyle = colours.quiet;
    ctx.fillRect(x, y + height + 2, Math.max(1, xOf(bars.start[i] + bars.predicted[i]) - xOf(bars.start[i])), 2);
  }
  if (width > 34) {
    ctx.fillStyle = colours.panel;
    ctx.textAlign = "left";
    ctx.fillText(fitted(ctx, names(bars.programs[i]), width - 10), x + 5, y + height / 2 + 0.5);
  }
}

function hatch(ctx, x, y, width, height) {
  ctx.save();
  ctx.beginPath();
  ctx.rect(x, y, width, height);
  ctx.clip();
  ctx.strokeStyle = colours.panel;
  ctx.globalAlpha = 0.22;
  ctx.lineWidth = 3;
  ctx.beginPath();
  for (let at = x - height; at < x + width; at += 10) {
    ctx.moveTo(at, y + height);
    ctx.lineTo(at + height, y);
  }
  ctx.stroke();
  ctx.restore();
}

function drawQueue(ctx, row) {
  const top = row.y + 4;
  const height = row.height - 8;
  const { start, depth } = queue;
  const most = new Float32Array(plotWidth + 2);
  let now = 0;
  let column = 0;
  for (let i = 0; i < start.length && start[i] < view.to; i++) {
    const x = Math.max(0, Math.floor(xOf(start[i]) - GUTTER));
    for (; column < x; column++) most[column] = Math.max(most[column], now);
    now = depth[i];
    most[x] = Math.max(most[x], start[i] < view.from ? 0 : now);
  }
  const last = Math.min(most.length, xOf(WHOLE.to) - GUTTER);
  for (; column < last; column++) most[column] = Math.max(most[column], now);
  ctx.fillStyle = colours.accent;
  ctx.globalAlpha = 0.3;
  for (let x = 0; x < most.length; x++) {
    const tall = (most[x] / deepest) * height;
    ctx.fillRect(GUTTER + x, top + height - tall, 1, tall);
  }
  ctx.globalAlpha = 1;
  for (let x = 0; x < most.length; x++) {
    if (!most[x]) continue;
    ctx.fillRect(GUTTER + x, top + height - (most[x] / deepest) * height - 0.5, 1, 1.5);
  }
}

// --- what is pointed at, and what it belongs to ---

function drawPicked(ctx, item) {
  const bar = item.kind === "bar" ? item.index : requests.bar[item.index];
  const place = bar >= 0 ? barPlace(bar) : null;
  const members = item.kind === "bar" ? servedBy(item.index) : [item.index];
  ctx.lineWidth = 1.25;
  for (const i of members.length > 300 ? members.subarray(0, 300) : members) drawThread(ctx, i, place);
  if (place) {
    ctx.strokeStyle = colours.text;
    ctx.lineWidth = 2;
    ctx.strokeRect(place.x - 1, place.y - 1, place.width + 2, place.height + 2);
  }
}

function barPlace(i) {
  const row = rows.find((candidate) => candidate.kind === "bars" && candidate.lane === bars.lane[i]);
  const x = xOf(bars.start[i]);
  return { x, y: row.y + 4, width: Math.max(2, xOf(bars.end[i]) - x), height: row.height - 13 };
}

// From where a request was made to the batch that answered it, and back.
function drawThread(ctx, i, place) {
  const row = rows.find(
    (candidate) => candidate.kind === "fate" && candidate.fate === requests.fate[i]
      && candidate.order === byLoopAndFate[requests.loop[i] * FATES.length + requests.fate[i]],
  );
  const colour = colours[FATES[requests.fate[i]]];
  const left = xOf(requests.start[i]);
  const right = xOf(requests.end[i]);
  const y = row.y + row.height / 2;
  ctx.strokeStyle = ctx.fillStyle = colour;
  ctx.fillRect(left, y - 1.5, Math.max(1, right - left), 3);
  ctx.fillRect(left - 1.25, row.y + 1, 2.5, row.height - 2);
  drawShape(ctx, requests.fate[i], right, y, 0.8);
  const latency = rows.find((candidate) => candidate.kind === "latency");
  drawShape(ctx, requests.fate[i], left, latencyY(latency, requests.seconds[i]), 1.1);
  if (!place) return;
  ctx.globalAlpha = 0.6;
  ctx.beginPath();
  const middle = (y + place.y) / 2;
  ctx.moveTo(left, y);
  ctx.bezierCurveTo(left, middle, place.x, middle, place.x, place.y);
  ctx.moveTo(place.x + place.width, place.y);
  ctx.bezierCurveTo(place.x + place.width, middle, right, middle, right, y);
  ctx.stroke();
  ctx.globalAlpha = 1;
}

// --- the overview ---

function drawOverview() {
  const { ctx, width } = context(overview);
  const bins = Math.max(1, Math.floor(plotWidth / 3));
  const counts = FATES.map(() => new Uint32Array(bins));
  for (let i = 0; i < requests.count; i++) {
    const bin = Math.min(bins - 1, Math.floor((requests.start[i] / WHOLE.to) * bins));
    if (shown[requests.fate[i]]) counts[requests.fate[i]][bin]++;
  }
  let most = 1;
  for (let bin = 0; bin < bins; bin++) most = Math.max(most, counts.reduce((sum, column) => sum + column[bin], 0));
  ctx.fillStyle = colours.quiet;
  ctx.textAlign = "right";
  ctx.fillText("requests", GUTTER - 8, 16);
  ctx.fillText(`${most} per ${duration(WHOLE.to / bins)}`, GUTTER - 8, 32);
  const floor = OVERVIEW_HEIGHT - 6;
  const tallest = (floor - 4) / most;
  const wide = plotWidth / bins;
  for (let bin = 0; bin < bins; bin++) {
    let y = floor;
    for (let fate = 0; fate < FATES.length; fate++) {
      const tall = counts[fate][bin] * tallest;
      if (!tall) continue;
      ctx.fillStyle = colours[FATES[fate]];
      ctx.fillRect(GUTTER + bin * wide, y - tall, wide - 0.6, tall);
      y -= tall;
    }
  }
  ctx.fillStyle = colours.line;
  ctx.fillRect(GUTTER, floor, width - GUTTER - MARGIN, 1);
  const left = GUTTER + (view.from / WHOLE.to) * plotWidth;
  const right = GUTTER + (view.to / WHOLE.to) * plotWidth;
  ctx.fillStyle = colours.brush;
  ctx.fillRect(left, 0, right - left, floor + 1);
  ctx.strokeStyle = colours.accent;
  ctx.lineWidth = 1;
  ctx.strokeRect(left + 0.5, 0.5, Math.max(1, right - left - 1), floor);
}
