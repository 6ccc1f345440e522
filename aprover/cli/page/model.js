"use strict";
// The recording: columns as typed arrays, times in seconds, and what is needed to find things in them.

const DATA = JSON.parse(document.getElementById("run").textContent);
const UNIT = 1e-7;
const FATES = DATA.fates;
const ANSWERED = new Set(["hit", "joined", "inline", "batched", "split"]);
const ANSWERED_FATES = FATES.map((fate) => ANSWERED.has(fate));

function fromDifferences(differences) {
  const out = new Float64Array(differences.length);
  let at = 0;
  for (let i = 0; i < out.length; i++) out[i] = (at += differences[i]) * UNIT;
  return out;
}

function inSeconds(units) {
  return Float64Array.from(units, (value) => (value < 0 ? NaN : value * UNIT));
}

function ends(start, seconds) {
  return start.map((at, i) => at + seconds[i]);
}

const requests = {
  ...DATA.requests,
  start: fromDifferences(DATA.requests.start),
  seconds: inSeconds(DATA.requests.seconds),
  predicted: inSeconds(DATA.requests.predicted),
  count: DATA.requests.start.length,
};
requests.end = ends(requests.start, requests.seconds);

const bars = {
  ...DATA.bars,
  start: fromDifferences(DATA.bars.start),
  seconds: inSeconds(DATA.bars.seconds),
  predicted: inSeconds(DATA.bars.predicted),
  measured: inSeconds(DATA.bars.measured),
  wait: inSeconds(DATA.bars.wait),
  count: DATA.bars.start.length,
};
bars.end = ends(bars.start, bars.seconds);

const queue = { start: fromDifferences(DATA.queue.start), depth: DATA.queue.depth };
const deepest = queue.depth.reduce((most, depth) => Math.max(most, depth), 0);

const names = (index) => DATA.names[index];
const laneName = (lane) => (lane < DATA.loops.length ? DATA.loops[lane] : DATA.workers[lane - DATA.loops.length]);

// The first index of `order` whose value in `column` is at least `wanted`; `order` is sorted by `column`.
function firstFrom(order, column, wanted) {
  let low = 0;
  let high = order.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (column[order[middle]] < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}

function grouped(count, groups, groupOf) {
  const out = Array.from({ length: groups }, () => []);
  for (let i = 0; i < count; i++) out[groupOf(i)].push(i);
  return out.map((list) => Int32Array.from(list));
}

const allRequests = Int32Array.from({ length: requests.count }, (_, i) => i);
const byLoopAndFate = grouped(
  requests.count, DATA.loops.length * FATES.length, (i) => requests.loop[i] * FATES.length + requests.fate[i],
);
const byLane = grouped(bars.count, DATA.loops.length + DATA.workers.length, (i) => bars.lane[i]);

// The latest end of this and all earlier bars of the lane, so that a search by end is right even if some overlap.
const latestEnd = new Float64Array(bars.count);
for (const lane of byLane) {
  let latest = -Infinity;
  for (const i of lane) latestEnd[i] = latest = Math.max(latest, bars.end[i]);
}

// Which requests each bar served: one list for all, and where each bar's part begins.
const servedFrom = new Int32Array(bars.count + 1);
for (let i = 0; i < requests.count; i++) if (requests.bar[i] >= 0) servedFrom[requests.bar[i] + 1]++;
for (let i = 0; i < bars.count; i++) servedFrom[i + 1] += servedFrom[i];
const served = new Int32Array(servedFrom[bars.count]);
{
  const next = servedFrom.slice();
  for (let i = 0; i < requests.count; i++) if (requests.bar[i] >= 0) served[next[requests.bar[i]]++] = i;
}
const servedBy = (bar) => served.subarray(servedFrom[bar], servedFrom[bar + 1]);

// What the lanes show, and what is chosen.
const WHOLE = { from: 0, to: Math.max(DATA.about.seconds, 1e-6) };
const view = { ...WHOLE };
const shown = FATES.map(() => true);
const SHORTEST_VIEW = 1e-6;

function inView() {
  const from = firstFrom(allRequests, requests.start, view.from);
  const to = firstFrom(allRequests, requests.start, view.to);
  const latencies = [];
  for (let i = from; i < to; i++) if (ANSWERED_FATES[requests.fate[i]]) latencies.push(requests.seconds[i]);
  latencies.sort((a, b) => a - b);
  const rank = (share) => latencies[Math.round(share * (latencies.length - 1))];
  let busy = 0;
  for (let lane = DATA.loops.length; lane < byLane.length; lane++) {
    for (const i of byLane[lane]) {
      busy += Math.max(0, Math.min(bars.end[i], view.to) - Math.max(bars.start[i], view.from));
    }
  }
  const span = view.to - view.from;
  return {
    requests: to - from,
    answered: latencies.length,
    throughput: latencies.length / span,
    p50: rank(0.5),
    p99: rank(0.99),
    occupancy: DATA.workers.length ? busy / (span * DATA.workers.length) : 0,
  };
}
