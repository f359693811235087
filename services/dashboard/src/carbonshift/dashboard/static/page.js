// Draws what /api/v1/events tells. Text from events goes in as text, never as markup.

const SILENT_MS = 15_000; // the server speaks every 5 s
const RETRY_MS = 2_000;
const SVG = "http://www.w3.org/2000/svg";
const ADVICE = {
  GREEN: "Good time to train",
  AMBER: "Train, throttled",
  RED: "Bad time to train",
  UNKNOWN: "Signals not trusted: hold",
};
const ALARMS = new Set(["cap_refused", "lease_expired", "foreign_limit"]);
// how much of the ribbon's height a state fills: the more power, the taller
const HEIGHT = { GREEN: 1, AMBER: 0.6, RED: 0.25, UNKNOWN: 1 };

const regions = new Map(); // name -> the RegionView last told
const cards = new Map(); // name -> its element, and what follows the clock or the pointer
const devices = new Map(); // worker and UUID -> the DeviceView last told
let aheadMs = 0; // the server's clock less ours, in ms

// ---------------------------------------------------------------- building blocks

function el(tag, className = "", ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

const now = () => Date.now() + aheadMs;
const number = (digits) => new Intl.NumberFormat("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
const whole = number(0);
const cents = number(2);
const show = (value, format = whole) => (value === null ? "–" : format.format(value).replace("-", "−"));
const usd = (value) => (value === null ? "–" : `${value < 0 ? "−" : ""}$${cents.format(Math.abs(value))}`);
const clock = (time) => new Date(time).toISOString().slice(11, 16);
const date = (time) =>
  new Date(time).toLocaleDateString("en", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });

function span(ms) {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  if (seconds < 90) return `${seconds} s`;
  if (seconds < 5_400) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3_600)} h` : `${Math.round(seconds / 86_400)} d`;
}

// circle, triangle, square, diamond: told apart without colour
function shape(state) {
  const icon = svg("svg", { viewBox: "0 0 24 24", "aria-hidden": "true", class: state });
  const solid = { fill: "currentColor", stroke: "currentColor", "stroke-width": 2, "stroke-linejoin": "round" };
  const hollow = { ...solid, fill: "none" };
  icon.append(
    {
      GREEN: () => svg("circle", { cx: 12, cy: 12, r: 10, ...solid }),
      AMBER: () => svg("path", { d: "M12 3 22 21H2Z", ...solid }),
      RED: () => svg("rect", { x: 3, y: 3, width: 18, height: 18, ...solid }),
      UNKNOWN: () => svg("path", { d: "M12 2 22 12 12 22 2 12Z", ...hollow }),
      running: () => svg("path", { d: "M6 4 20 12 6 20Z", ...solid }),
      paused: () => svg("path", { d: "M7 4v16M17 4v16", ...hollow, "stroke-width": 5 }),
      parked: () => svg("rect", { x: 5, y: 5, width: 14, height: 14, ...hollow, "stroke-width": 3 }),
      ended: () => svg("path", { d: "M4 13l5 5L20 6", ...hollow, "stroke-width": 3 }),
      none: () => svg("circle", { cx: 12, cy: 12, r: 7, ...hollow, "stroke-width": 2 }),
    }[state](),
  );
  return icon;
}

// ---------------------------------------------------------------- a region

function drawRegion(view) {
  const { region, state, tick, replay } = view;
  const name = state?.state ?? "UNKNOWN";
  let card = cards.get(region);
  if (!card) {
    card = { node: el("article", "card region"), chart: el("div", "chart"), hover: null };
    card.node.setAttribute("aria-label", region);
    card.chart.addEventListener("pointermove", (event) => point(region, event));
    card.chart.addEventListener("pointerleave", () => point(region, null));
    cards.set(region, card);
    new ResizeObserver(() => drawChart(region)).observe(card.chart);
    const after = [...cards.keys()].sort().find((other) => other > region && cards.get(other).node.isConnected);
    document.getElementById("regions").insertBefore(card.node, after ? cards.get(after).node : null);
  }
  if (card.state && card.state !== name) {
    document.getElementById("announce").textContent = `${region} is now ${name}`;
  }
  card.state = name;
  card.late = el("span", "badge warn");
  card.when = el("span", "when");
  card.node.replaceChildren(
    el(
      "div",
      "region-head",
      el("h2", "", region),
      replay
        ? el("span", "badge replay", `REPLAY ${replay.speed ? `×${show(replay.speed)}` : "at full speed"}`)
        : el("span", "badge", "LIVE"),
      card.late,
      card.when,
    ),
    el("div", "now", verdict(name, state), figures(state, tick)),
    card.chart,
    story(view.narrative) ?? "",
  );
  drawChart(region);
  drawAge(region);
}

function verdict(name, state) {
  const advice = state
    ? `${state.run || name !== "GREEN" ? ADVICE[name] : "Good time, but not yet to run"} · ${
        state.run ? `setpoint ${show(state.power_limit_w)} W` : "training pauses"
      }`
    : "No verdict heard yet";
  const since = state
    ? `since ${clock(state.since)} UTC${state.previous ? `, was ${state.previous}` : ""}`
    : "is the decide service running?";
  return el(
    "div",
    "verdict",
    shape(name),
    el("div", "", el("p", `word ${name}`, name), el("p", "advice", advice), el("p", "since", since)),
  );
}

function figures(state, tick) {
  const quality = (value) => (tick[value] === "observed" ? "" : `, ${tick[value]}`);
  const bad = tick && tick.issues.length > 0;
  const list = el("dl", "figures");
  list.append(
    figure("Price", usd(tick?.price_usd_per_mwh ?? null), "/MWh", tick ? tick.price_market + quality("price_quality") : ""),
    figure(
      "Carbon",
      show(tick?.carbon_g_per_kwh ?? null),
      "g/kWh",
      tick ? tick.carbon_basis + quality("carbon_quality") : "",
    ),
    figure("Score", show(state?.score ?? null, cents), "0 best, 1 worst", (state?.reasons ?? []).join(", "), state?.score),
  );
  if (bad) list.append(el("p", "note warn", `Doubts: ${tick.issues.join(", ")}`));
  return list;
}

function figure(label, value, unit, note, share) {
  const body = el("dd", "", el("span", "value", value), el("span", "unit", unit));
  if (share !== undefined && share !== null) {
    body.append(
      svg(
        "svg",
        { class: "meter", "aria-hidden": "true" },
        svg("rect", { class: "track", width: "100%", height: "100%", rx: 3 }),
        svg("rect", { class: "fill", width: `${share * 100}%`, height: "100%", rx: 3 }),
      ),
    );
  }
  body.append(el("div", "note", note));
  return el("div", "", el("dt", "", label), body);
}

function story(narrative) {
  if (!narrative) return null;
  const by = narrative.fallback ? "template, the model's text was not fit" : narrative.model;
  return el(
    "div",
    "story",
    el("p", "", narrative.text),
    el("p", "note", `${clock(narrative.interval_start)} UTC · ${by}${narrative.outdated ? " · about an earlier change" : ""}`),
  );
}

function drawAge(region) {
  const { state, tick, replay } = regions.get(region);
  const card = cards.get(region);
  const part = state ?? tick;
  const stale = now() >= Date.parse(part.stale_at);
  const silent = tick && now() >= Date.parse(tick.stale_at);
  card.node.classList.toggle("stale", stale);
  card.late.hidden = !stale && !silent;
  card.late.textContent = stale ? `STALE: last heard ${span(now() - Date.parse(part.heard_at))} ago` : "NO NEW PRICE";
  const at = Date.parse(part.interval_start);
  card.when.textContent = replay
    ? `event time ${date(at)}, ${clock(at)} UTC`
    : `${clock(at)} UTC · ${span(now() - Date.parse(part.heard_at))} ago`;
}

// ---------------------------------------------------------------- its chart

const LEFT = 44;
const RIGHT = 8;
const PANELS = [
  { key: "price", column: "price_usd_per_mwh", title: "Price, $/MWh", top: 18, height: 96, digits: 2 },
  { key: "carbon", column: "carbon_g_per_kwh", title: "Carbon, g/kWh", top: 142, height: 76, digits: 0 },
];
const RIBBON = { top: 246, height: 22 };
const CHART_HEIGHT = 290;

function drawChart(region) {
  const { chart, hover } = cards.get(region);
  const { history, forecast, tick } = regions.get(region);
  const width = chart.clientWidth;
  const times = history.interval_start_unix_seconds;
  if (!width || times.length === 0) return;
  const step = tick?.interval_seconds ?? (times.length > 1 ? times[1] - times[0] : 300);
  const end = times.at(-1) + step;
  const start = Math.min(times[0], end - 12 * step);
  const outlook = forecast && Date.parse(forecast.origin) / 1_000 >= end - 2 * step ? forecast : null;
  const steps = outlook ? Math.min(outlook.price_usd_per_mwh.p50.length, Math.ceil((end - start) / 3 / outlook.step_seconds)) : 0;
  const last = outlook ? Date.parse(outlook.origin) / 1_000 + steps * outlook.step_seconds : end;
  const x = (time) => LEFT + ((time - start) / (Math.max(last, end) - start)) * (width - LEFT - RIGHT);
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${CHART_HEIGHT}`, height: CHART_HEIGHT, role: "img" });
  drawing.setAttribute(
    "aria-label",
    `Price, carbon and state of ${region} from ${clock(start * 1_000)} to ${clock(end * 1_000)} UTC`,
  );
  for (const time of roundTimes(start, last, width)) {
    drawing.append(
      svg("line", { class: "grid", x1: x(time), x2: x(time), y1: PANELS[0].top, y2: RIBBON.top + RIBBON.height }),
      label(x(time), CHART_HEIGHT - 6, timeLabel(time), "middle"),
    );
  }
  for (const panel of PANELS) drawPanel(drawing, panel, { history, outlook, steps, step, x, width, hover });
  drawing.append(label(0, RIBBON.top + 15, "State", "start"));
  drawRibbon(drawing, history, step, x);
  if (outlook) {
    drawing.append(
      svg("line", { class: "border", x1: x(end), x2: x(end), y1: PANELS[0].top, y2: RIBBON.top + RIBBON.height }),
      label(x(end) + 6, RIBBON.top + 15, forecastWords(outlook, width - x(end)), "start"),
    );
  }
  if (hover !== null && hover < times.length) {
    const at = x(times[hover] + step / 2);
    const words = `${timeLabel(times[hover])} UTC  ${history.state[hover] ?? ""}`;
    drawing.append(
      svg("line", { class: "cursor", x1: at, x2: at, y1: PANELS[0].top, y2: RIBBON.top + RIBBON.height }),
      label(width - RIGHT, 10, words, "end", "head"),
    );
  }
  cards.get(region).scale = { start, end, step, x0: LEFT, x1: x(end) };
  chart.replaceChildren(drawing);
}

function forecastWords(outlook, room) {
  if (room > 130) return outlook.degraded ? "forecast, degraded" : "forecast, p10 to p90";
  return room > 60 ? "forecast" : "";
}

function drawPanel(drawing, panel, { history, outlook, steps, step, x, width, hover }) {
  const { key, column, title, top, height, digits } = panel;
  const values = history[column];
  const quantiles = outlook?.[column];
  const known = values.filter((value) => value !== null);
  const coming = quantiles ? [...quantiles.p10.slice(0, steps), ...quantiles.p90.slice(0, steps)] : [];
  const [low, high, marks] = roundRange(Math.min(...known, ...coming), Math.max(...known, ...coming));
  const y = (value) => top + height - ((value - low) / (high - low)) * height;
  for (const mark of marks) {
    drawing.append(
      svg("line", { class: mark === 0 && low < 0 ? "zero" : "grid", x1: LEFT, x2: width - RIGHT, y1: y(mark), y2: y(mark) }),
      label(LEFT - 8, y(mark) + 4, show(mark, Number.isInteger(mark) ? whole : number(1)), "end"),
    );
  }
  const told = hover === null || values[hover] === undefined ? "" : `: ${show(values[hover], number(digits))}`;
  drawing.append(label(LEFT, top - 8, title + told, "start", key));
  if (quantiles && steps > 1) {
    const from = Date.parse(outlook.origin) / 1_000;
    const at = (index) => x(from + (index + 0.5) * outlook.step_seconds).toFixed(1);
    const edge = (list) => list.slice(0, steps).map((value, index) => `${at(index)} ${y(value).toFixed(1)}`);
    drawing.append(
      svg("path", { class: `band ${key}`, d: `M${edge(quantiles.p10).join("L")}L${edge(quantiles.p90).reverse().join("L")}Z` }),
      svg("path", { class: `mid ${key}`, d: `M${edge(quantiles.p50).join("L")}` }),
    );
  }
  // a step per interval; what is missing, or was never heard, is a gap
  let d = "";
  let open = null;
  history.interval_start_unix_seconds.forEach((time, index) => {
    const value = values[index];
    if (value === null) {
      open = null;
      return;
    }
    const height = y(value).toFixed(1);
    d += `${open === time ? "L" : "M"}${x(time).toFixed(1)} ${height}H${x(time + step).toFixed(1)}`;
    open = time + step;
  });
  if (d) drawing.append(svg("path", { class: `line ${key}`, d }));
  if (hover !== null && typeof values[hover] === "number") {
    const middle = x(history.interval_start_unix_seconds[hover] + step / 2);
    drawing.append(svg("circle", { class: `dot ${key}`, cx: middle, cy: y(values[hover]), r: 3.5 }));
  }
}

function drawRibbon(drawing, history, step, x) {
  const times = history.interval_start_unix_seconds;
  let from = 0;
  for (let index = 1; index <= times.length; index++) {
    const joined = index < times.length && history.state[index] === history.state[from] && times[index] === times[index - 1] + step;
    if (joined) continue;
    const state = history.state[from];
    if (state) {
      const height = RIBBON.height * HEIGHT[state];
      const left = x(times[from]);
      const block = svg("rect", {
        class: `block ${state}`,
        x: left,
        y: RIBBON.top + RIBBON.height - height,
        width: Math.max(1, x(times[index - 1] + step) - left - 0.5),
        height,
        rx: 1.5,
      });
      block.append(svg("title", {}, state));
      drawing.append(block);
    }
    from = index;
  }
}

function label(x, y, words, anchor, className = "") {
  return svg("text", { x, y, "text-anchor": anchor, class: className }, words);
}

function roundTimes(start, end, width) {
  const wanted = (end - start) / Math.max(2, Math.floor(width / 110));
  const step = [300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400].find((one) => one >= wanted) ?? 172_800;
  const times = [];
  for (let time = Math.ceil(start / step) * step; time < end; time += step) times.push(time);
  return times;
}

function timeLabel(time) {
  const moment = new Date(time * 1_000);
  const midnight = moment.getUTCHours() === 0 && moment.getUTCMinutes() === 0;
  return midnight ? moment.toLocaleDateString("en", { day: "numeric", month: "short", timeZone: "UTC" }) : clock(moment);
}

// a range with some air, and the round numbers within it
function roundRange(low, high) {
  if (!Number.isFinite(low)) return [0, 1, []];
  const spread = Math.max(high - low, Math.abs(high) * 0.1, 1);
  const bottom = low >= 0 && low < spread ? 0 : low - spread * 0.06;
  const top = high + spread * 0.06;
  const rough = (top - bottom) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough * 0.85);
  const marks = [];
  for (let index = Math.ceil(bottom / step); index * step <= top; index++) marks.push(index * step + 0); // never −0
  return [bottom, top, marks];
}

function point(region, event) {
  const card = cards.get(region);
  const { scale } = card;
  if (!scale) return;
  let hover = null;
  if (event) {
    const across = event.clientX - card.chart.getBoundingClientRect().left;
    const time = scale.start + ((across - scale.x0) / (scale.x1 - scale.x0)) * (scale.end - scale.start);
    const times = regions.get(region).history.interval_start_unix_seconds;
    const found = times.findLastIndex((one) => one <= time);
    if (across >= scale.x0 && time < scale.end && found >= 0) hover = found;
  }
  if (hover !== card.hover) {
    card.hover = hover;
    drawChart(region);
  }
}

// ---------------------------------------------------------------- the fleet

function drawFleet() {
  const body = document.getElementById("devices");
  const all = [...devices.values()].sort((a, b) => key(a).localeCompare(key(b), "en", { numeric: true }));
  body.replaceChildren(...all.map(deviceRow));
  document.getElementById("fleet").hidden = all.length === 0;
  drawTotals();
}

function drawTotals() {
  const all = [...devices.values()];
  const heard = all.filter((one) => !isStale(one));
  const count = (state) => heard.filter((one) => one.run_state === state).length;
  const sum = (field) => heard.reduce((total, one) => total + (one[field] ?? 0), 0);
  const facts = [
    `${all.length} ${all.length === 1 ? "device" : "devices"}`,
    ...["running", "paused", "parked", "ended"].filter(count).map((state) => `${count(state)} ${state}`),
    all.length > heard.length ? `${all.length - heard.length} silent` : "",
    `${show(sum("power_w"))} W drawn of ${show(sum("allowance_w"))} W allowed`,
  ];
  document.getElementById("totals").textContent = facts.filter(Boolean).join(" · ");
}

const key = (device) => `${device.worker} ${device.device_uuid}`;
const isStale = (device) => now() >= Date.parse(device.stale_at);

function deviceRow(device) {
  const state = device.run_state ?? "none";
  const stale = isStale(device);
  const change = device.last_change;
  const row = el(
    "tr",
    stale ? "stale" : "",
    el("td", "", device.worker, el("span", "note", `${shortId(device.device_uuid)} · ${device.site}`)),
    el(
      "td",
      "seen",
      el("span", `run ${state}`, shape(state), device.run_state ?? "no telemetry"),
      stale ? el("span", "note warn", `stale: ${span(now() - Date.parse(device.heard_at))} silent`) : null,
    ),
    el("td", "", device.job ?? "–", device.deadline ? el("span", "note", `due ${date(device.deadline)}`) : null),
    el("td", "power", ...power(device)),
    el("td", "number", device.allowance_w === null ? "–" : `${show(device.allowance_w)} W`),
    el("td", "number", ...progress(device)),
    el(
      "td",
      "change",
      change ? el("span", ALARMS.has(change.event) ? "warn" : "", change.event.replace("_", " ")) : "–",
      change ? el("span", "note", `${clock(change.observed_at)} UTC`) : null,
    ),
  );
  return row;
}

const shortId = (uuid) => (uuid.length > 14 ? `${uuid.slice(0, 12)}…` : uuid || "whole host");

function power(device) {
  const { power_w, power_limit_w, enforced_limit_w, ceiling_w } = device;
  const full = Math.max(ceiling_w ?? 0, power_limit_w ?? 0, power_w ?? 0);
  const basis = [device.energy_basis];
  if (enforced_limit_w !== null && power_limit_w !== null && enforced_limit_w < power_limit_w - 0.5) {
    basis.push(`driver obeys ${show(enforced_limit_w)} W`);
  }
  const parts = [`${show(power_w)} / ${show(power_limit_w)} W`];
  if (full > 0) {
    const bar = svg("svg", { class: "bar", "aria-hidden": "true" }, svg("rect", { class: "track", width: "100%", height: "100%", rx: 3 }));
    if (power_w !== null) bar.append(svg("rect", { class: "fill", width: `${(power_w / full) * 100}%`, height: "100%", rx: 3 }));
    if (power_limit_w !== null) {
      bar.append(svg("rect", { class: "limit", x: `${(power_limit_w / full) * 99}%`, width: 2, height: "100%" }));
    }
    parts.push(bar);
  }
  parts.push(el("span", "note", basis.filter(Boolean).join(" · ")));
  return parts;
}

function progress(device) {
  if (device.step === null || device.job === null) return ["–"];
  const total = device.remaining_steps === null ? null : device.step + device.remaining_steps;
  const rate = device.steps_per_s === null ? "" : `${show(device.steps_per_s, number(device.steps_per_s < 10 ? 1 : 0))}/s`;
  const share = total ? `${whole.format(Math.floor((device.step / total) * 100))} % of ${whole.format(total)}` : "";
  return [whole.format(device.step), el("span", "note", [share, rate].filter(Boolean).join(" · "))];
}

// ---------------------------------------------------------------- the connection

function link(className, words) {
  const node = document.getElementById("link");
  if (node.textContent === words) return;
  node.className = `link ${className}`;
  node.textContent = words;
}

function take(message) {
  aheadMs = Date.parse(message.now) - Date.now();
  if (message.whole) {
    devices.clear();
    const kept = new Set(message.regions.map((view) => view.region));
    for (const [name, card] of cards) {
      if (kept.has(name)) continue;
      card.node.remove();
      cards.delete(name);
      regions.delete(name);
    }
  }
  for (const view of message.regions) {
    regions.set(view.region, view);
    drawRegion(view);
  }
  for (const device of message.devices) devices.set(key(device), device);
  if (message.whole || message.devices.length > 0) drawFleet();
  document.getElementById("empty").hidden = regions.size > 0 || devices.size > 0;
  const unread = message.unreadable_messages;
  if (!message.broker_connected) link("down", "the broker is away");
  else if (unread > 0) link("down", `${whole.format(unread)} messages could not be read, see the log`);
  else link("up", "connected");
}

let source = null;
let spokenAt = 0;

function connect() {
  source?.close();
  spokenAt = Date.now();
  source = new EventSource("/api/v1/events");
  source.onmessage = (event) => {
    spokenAt = Date.now();
    take(JSON.parse(event.data));
  };
  source.onerror = () => {
    link("down", "the dashboard is away, reconnecting");
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, RETRY_MS);
  };
}

setInterval(() => {
  if (Date.now() - spokenAt > SILENT_MS) {
    link("down", "the dashboard is silent, reconnecting");
    connect();
  }
  for (const region of regions.keys()) drawAge(region);
  if (devices.size > 0) drawFleet();
}, 1_000);

connect();
