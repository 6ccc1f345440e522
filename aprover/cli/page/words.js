// What is said in words: figures, tables, and the card about what is pointed at. Text goes in as text, never as markup.

function duration(seconds) {
  if (!(seconds >= 0)) return "unknown";
  if (seconds < 1e-3) return `${significant(seconds * 1e6)} \u00b5s`;
  if (seconds < 1) return `${significant(seconds * 1e3)} ms`;
  return `${significant(seconds)} s`;
}

function significant(value) {
  if (value === 0) return "0";
  if (value >= 100) return grouping(Math.round(value));
  return String(Number(value.toPrecision(3)));
}

const grouping = (value) => Math.round(value).toLocaleString("en-US");
const percent = (share) => `${Number((100 * share).toFixed(1))} %`;
const counted = (count, noun) => `${grouping(count)} ${noun}${count === 1 ? "" : "s"}`;

function axisStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= least);
}

function axisLabel(at, step) {
  const [unit, scale] = step >= 0.1 ? ["s", 1] : step >= 1e-4 ? ["ms", 1e3] : ["\u00b5s", 1e6];
  const digits = Math.max(0, -Math.floor(Math.log10(step * scale) + 1e-9));
  return `${(at * scale).toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits })} ${unit}`;
}

const moment = (at) => `${(at * 1e3).toLocaleString("en-US", { minimumFractionDigits: 3, maximumFractionDigits: 3 })} ms`;

function fitted(ctx, text, width) {
  if (ctx.measureText(text).width <= width) return text;
  let length = Math.min(text.length, Math.floor(width / 4));
  while (length > 0 && ctx.measureText(`${text.slice(0, length)}\u2026`).width > width) length--;
  return length ? `${text.slice(0, length)}\u2026` : "";
}

// --- elements ---

function element(tag, options = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function icon(fate) {
  const ns = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(ns, "svg");
  svg.setAttribute("viewBox", "0 0 12 12");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(ns, "path");
  path.setAttribute("d", SHAPES[fate]);
  path.setAttribute("fill", `var(--${fate})`);
  path.setAttribute("fill-rule", "evenodd");
  svg.append(path);
  return svg;
}

function facts(pairs) {
  const list = element("dl");
  for (const [name, text] of pairs) {
    if (text) list.append(element("div", {}, element("dt", {}, name), element("dd", {}, text)));
  }
  return list;
}

// --- the summary ---

function sayAbout() {
  const { about } = DATA;
  const when = new Date(about.started).toISOString().replace("T", " ").slice(0, 19);
  const cpus = about.cpus ? `, ${counted(about.cpus, "core")}` : "";
  const place = document.getElementById("about");
  place.append(
    `${when} UTC, ${duration(about.seconds)}; aprover ${about.version}${cpus}; ${counted(about.events, "event")}`,
  );
  if (about.dropped) place.append(element("strong", {}, `, and ${grouping(about.dropped)} more that were not kept`));
}

function sayFigures() {
  const { figures } = DATA;
  const { latency } = figures;
  const share = (...fates) => {
    const count = fates.reduce((sum, fate) => sum + figures.fates[FATES.indexOf(fate)], 0);
    return figures.requests ? percent(count / figures.requests) : "none";
  };
  const cards = [
    ["requests", grouping(figures.requests), `${grouping(figures.answered)} answered`],
    ["throughput", `${significant(figures.throughput)} /s`, "answers a second"],
    ["latency, median", duration(latency.p50), `p90 ${duration(latency.p90)}`],
    ["latency, p99", duration(latency.p99), `largest ${duration(latency.max)}`],
    ["hits and joins", share("hit", "joined"), `${share("hit")} and ${share("joined")}`],
    ["workers busy", percent(figures.occupancy), counted(figures.workers, "worker")],
    ["batches", grouping(figures.batches), `${significant(figures.batch_size)} proofs on average`],
    ["queue wait", duration(figures.queue_wait ?? NaN), "median of the batches"],
    [
      "prediction within",
      figures.prediction_error === null ? "unknown" : `\u00d7 ${(1 + figures.prediction_error).toFixed(2)}`,
      "of half of the times",
    ],
  ];
  const place = document.getElementById("figures");
  for (const [name, value, more] of cards) {
    place.append(element("div", {}, element("dt", {}, name), element("dd", {}, value), element("dd", {}, more)));
  }
}

function sayView() {
  const seen = inView();
  const parts = [
    `${axisRange()}: ${counted(seen.requests, "request")}`,
    seen.answered ? `${significant(seen.throughput)} answers/s, p50 ${duration(seen.p50)}, p99 ${duration(seen.p99)}` : "",
    DATA.workers.length ? `workers ${percent(seen.occupancy)} busy` : "",
  ];
  document.getElementById("view").textContent = `In view, ${parts.filter(Boolean).join("; ")}.`;
}

function axisRange() {
  const step = (view.to - view.from) / 100;
  return `${axisLabel(view.from, step)} to ${axisLabel(view.to, step)}`;
}

// --- cards ---

const BECAUSE = {
  hit: () => "the proof was in the cache",
  joined: (i) => `an identical request was under way, as flight ${requests.flight[i]}`,
  cancelled: () => "its caller was cancelled",
  pending: () => "the recording ended first",
};

function requestCard(i, others = 0) {
  const fate = FATES[requests.fate[i]];
  const bar = requests.bar[i];
  const own = names(requests.reason[i]);
  const placed = fate !== "failed" && fate !== "rejected" ? own : "";
  return element(
    "div", { class: "card" },
    element("h3", {}, icon(fate), `request ${requests.number[i]}: ${fate}`),
    facts([
      ["program", names(requests.program[i])],
      ["asked at", moment(requests.start[i])],
      ["answered in", fate === "pending" ? "not yet" : duration(requests.seconds[i])],
      ["because", BECAUSE[fate] ? BECAUSE[fate](i) : own],
      ["placed because", BECAUSE[fate] ? placed : ""],
      ["predicted", requests.predicted[i] >= 0 ? duration(requests.predicted[i]) : ""],
      ["made in", bar >= 0 ? `${barName(bar)}, ${laneName(bars.lane[bar])}` : ""],
      ["here too", others ? counted(others, "more request") : ""],
    ]),
  );
}

const barName = (i) => (bars.number[i] >= 0 ? `batch ${bars.number[i]}` : "work on the caller's thread");

function helpCard(i) {
  return element(
    "div", { class: "card" },
    element("h3", {}, icon("split"), `help with batch ${bars.number[i]}`),
    facts([
      ["programs", names(bars.programs[i])],
      ["placed", `on ${laneName(bars.lane[i])}`],
      ["from", moment(bars.start[i])],
      ["took", duration(bars.seconds[i]) + (bars.finished[i] ? "" : " and was not finished")],
    ]),
  );
}

function barCard(i) {
  if (names(bars.placement[i]) === "help") return helpCard(i);
  const kind = OF_PLACEMENT[names(bars.placement[i])] || "batched";
  const answered = servedBy(i).length;
  return element(
    "div", { class: "card" },
    element("h3", {}, icon(kind), `${barName(i)}: ${counted(bars.size[i], "proof")} for ${counted(answered, "request")}`),
    facts([
      ["programs", names(bars.programs[i])],
      ["placed", `${names(bars.placement[i])}, on ${laneName(bars.lane[i])}`],
      ["because", names(bars.reason[i])],
      ["from", moment(bars.start[i])],
      ["took", duration(bars.seconds[i]) + (bars.finished[i] ? "" : " and was not finished")],
      ["of it in C", bars.measured[i] >= 0 && bars.number[i] >= 0 ? duration(bars.measured[i]) : ""],
      ["predicted", bars.predicted[i] >= 0 ? `${duration(bars.predicted[i])}${offBy(i)}` : ""],
      ["waited before", bars.wait[i] >= 0 ? duration(bars.wait[i]) : ""],
    ]),
  );
}

function offBy(i) {
  const ratio = bars.measured[i] / bars.predicted[i];
  if (!(ratio > 0) || !Number.isFinite(ratio)) return "";
  return ratio >= 1 ? `; took ${significant(ratio)} times as long` : `; took ${percent(ratio)} of it`;
}

const cardOf = (item) => (item.kind === "bar" ? barCard(item.index) : requestCard(item.index, item.others));

// --- tables ---

function sayTable(id, headers, lines) {
  const head = element("tr");
  for (const [text, numeric] of headers) head.append(element("th", { scope: "col", class: numeric ? "number" : "" }, text));
  const body = element("tbody");
  for (const cells of lines) {
    const row = element("tr");
    cells.forEach((cell, i) => row.append(element("td", { class: headers[i][1] ? "number" : "" }, ...[cell].flat())));
    body.append(row);
  }
  document.getElementById(id).append(element("thead", {}, head), body);
}

function sayTables(choose) {
  sayTable(
    "reasons",
    [["placement"], ["reason"], ["batches", 1], ["proofs", 1], ["predicted", 1], ["measured", 1]],
    DATA.reasons.map(([placement, reason, batches, flights, predicted, measured]) => [
      [icon(OF_PLACEMENT[placement] || "batched"), placement], reason || "not told",
      grouping(batches), grouping(flights), duration(predicted), duration(measured),
    ]),
  );
  const answered = allRequests.filter((i) => ANSWERED_FATES[requests.fate[i]]);
  answered.sort((a, b) => requests.seconds[b] - requests.seconds[a]);
  sayTable(
    "slowest",
    [["request", 1], ["fate"], ["program"], ["asked at", 1], ["answered in", 1], ["made in"]],
    [...answered.subarray(0, 12)].map((i) => {
      const fate = FATES[requests.fate[i]];
      const go = element("button", { type: "button", title: "Show it in the lanes" }, String(requests.number[i]));
      go.addEventListener("click", () => choose({ kind: "request", index: i }, true));
      return [
        go, [icon(fate), fate], names(requests.program[i]), moment(requests.start[i]), duration(requests.seconds[i]),
        requests.bar[i] >= 0 ? barName(requests.bar[i]) : "",
      ];
    }),
  );
}
