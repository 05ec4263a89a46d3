"use strict";
// Shows what the WebSocket tells, draws at most once a second, and says when it is not up to date.

const objects = new Map();
const sorting = { queues: ["name", 1], agents: ["name", 1], groups: ["name", 1] };
const byId = id => document.getElementById(id);
let clock = 0; // the service's time less this browser's, ms
let heard = 0, pause = 500, lost = false;

const now = () => Date.now() + clock;
const figures = view => view[byId("span").value];
const percent = share => share === null ? "–" : `${Math.round(share * 100)} %`;

function time(ms) {
  if (ms === null || ms === undefined) return "–";
  const s = Math.max(0, Math.round(ms / 1000));
  const two = n => String(n).padStart(2, "0");
  return s < 3600 ? `${Math.floor(s / 60)}:${two(s % 60)}` : `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`;
}

const since = ms => ms ? now() - ms : null;
const sum = (agents, names) => names.reduce((total, name) => total + (agents?.[name] ?? 0), 0);
const READY = ["WaitForNextCall"], AWAY = ["NotReadyForNextCall", "AfterCallWork"];
const BUSY = ["CallRinging", "CallDialing", "CallInternal", "CallInbound", "CallOutbound", "CallConsult", "CallOnHold", "CallUnknown"];
const present = agents => sum(agents, [...READY, ...AWAY, ...BUSY]);

function tone(status) {
  return READY.includes(status) ? "good" : AWAY.includes(status) ? "warn" : status === "LoggedOut" ? "quiet" : "";
}

const isLost = view => objects.get(`site:${view.site}`)?.connected === false;
const isOld = view => view.stale && view.status !== "LoggedOut";

function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") made.className = value;
    else if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

// A column: head, value to sort by, text, number?, tone.
const count = name => ({ head: name[0].toUpperCase() + name.slice(1), of: view => figures(view)[name], n: true });
const COLUMNS = {
  queues: [
    { head: "Queue", key: "name", of: view => view.object.split(":")[2] },
    { head: "Site", of: view => isLost(view) ? `${view.site} (out of date)` : view.site, tone: view => isLost(view) ? "bad" : "" },
    { head: "Waiting", of: view => view.waiting, n: true, tone: view => view.waiting && !present(view.agents) && view.kind === "queue" ? "bad" : "" },
    { head: "Longest wait", of: view => since(view.longest_waiting_since_unix_ms), show: time, n: true,
      tone: view => since(view.longest_waiting_since_unix_ms) > view.service_level_ms ? "bad" : "" },
    { head: "Estimated", of: view => view.estimated_wait_ms ?? null, show: time, n: true },
    { head: "Ready", of: view => sum(view.agents, READY), n: true },
    { head: "Agents", of: view => present(view.agents), n: true },
    count("offered"), count("handled"), count("abandoned"),
    { head: "Service level", of: view => figures(view).service_level, show: percent, n: true,
      tone: view => figures(view).service_level !== null && figures(view).service_level < 0.8 ? "warn" : "" },
    { head: "Average wait", of: view => figures(view).average_wait_ms, show: time, n: true },
  ],
  agents: [
    { head: "Agent", key: "name", of: view => view.object.split(":")[1] },
    { head: "Status", of: view => isOld(view) ? `${view.status} (out of date)` : view.status, tone: view => isOld(view) ? "bad" : tone(view.status) },
    { head: "For", of: view => view.status === "LoggedOut" ? null : since(view.status_since_unix_ms), show: time, n: true },
    { head: "Why", of: view => view.reason ?? view.work_mode ?? "" },
    { head: "Site", of: view => view.status === "LoggedOut" ? "" : view.site ?? "" },
    { head: "DN", of: view => view.status === "LoggedOut" ? "" : view.dn ?? "" },
    count("offered"), count("handled"), count("missed"),
    { head: "Average handling", of: view => figures(view).average_handle_ms, show: time, n: true },
  ],
  groups: [
    { head: "Group", key: "name", of: view => view.object.split(":")[1] },
    { head: "Ready", of: view => sum(view.agents, READY), n: true },
    { head: "In calls", of: view => sum(view.agents, BUSY), n: true },
    { head: "Not ready", of: view => sum(view.agents, AWAY), n: true },
    { head: "Logged in", of: view => present(view.agents), n: true },
    count("handled"), count("missed"),
    { head: "Average handling", of: view => figures(view).average_handle_ms, show: time, n: true },
  ],
};

function sites(list) {
  const cards = list.map(view => {
    const all = present(view.agents), counted = figures(view);
    const part = (kind, names) => element("i", { class: kind, style: `width:${all ? 100 * sum(view.agents, names) / all : 0}%` });
    const pairs = [["waiting", view.waiting], ["offered", counted.offered], ["handled", counted.handled], ["abandoned", counted.abandoned]];
    return element("article", { class: view.connected ? "card" : "card lost" },
      element("h3", {}, view.object.split(":")[1], element("span", {}, view.connected ? "connected" : `no connection for ${time(since(view.connected_since_unix_ms))}`)),
      element("dl", {}, ...pairs.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, String(value ?? 0))])),
      element("div", { class: "bar", "aria-hidden": "true" }, part("ready", READY), part("busy", BUSY), part("away", AWAY)),
      element("p", { class: "key" }, `${sum(view.agents, READY)} ready, ${sum(view.agents, BUSY)} in calls, ${sum(view.agents, AWAY)} not ready, of ${all} logged in`));
  });
  byId("sites").replaceChildren(...cards);
}

function table(id, list) {
  const columns = COLUMNS[id], [by, way] = sorting[id];
  const column = columns.find(column => (column.key ?? column.head) === by) ?? columns[0];
  const rank = value => value === null || value === undefined || value === "" ? null : value;
  const sorted = [...list].sort((one, two) => {
    // Who is not there comes last, however it is sorted.
    const away = (one.status === "LoggedOut") - (two.status === "LoggedOut");
    if (away) return away;
    const [a, b] = [rank(column.of(one)), rank(column.of(two))];
    if (a === null || b === null) return (a === null) - (b === null);
    return way * (typeof a === "number" ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true }));
  });
  const target = byId(id);
  if (!target.tHead) head(target, id, columns);
  [...target.tHead.rows[0].cells].forEach((cell, place) => {
    const name = columns[place].key ?? columns[place].head;
    cell.setAttribute("aria-sort", name === by ? (way > 0 ? "ascending" : "descending") : "none");
  });
  const rows = sorted.map(view => element("tr", {}, ...columns.map(column => {
    const value = column.of(view);
    const text = column.show ? column.show(value) : String(value ?? "–");
    const classes = [column.n ? "n" : "", column.tone?.(view) ?? ""].join(" ").trim();
    return element("td", { class: classes, "data-head": column.head }, text);
  })));
  const none = element("tr", {}, element("td", { class: "empty", colSpan: columns.length }, objects.size ? "nothing that fits" : "nothing is known yet"));
  target.tBodies[0].replaceChildren(...(rows.length ? rows : [none]));
  byId(`${id}-head`).querySelector("small").textContent = `${rows.length}`;
}

function head(target, id, columns) {
  const cells = columns.map(column => {
    const sort = () => {
      const name = column.key ?? column.head, [by, way] = sorting[id];
      sorting[id] = [name, by === name ? -way : column.n ? -1 : 1];
      draw();
    };
    return element("th", { class: column.n ? "n" : "", scope: "col" }, element("button", { type: "button", onclick: sort }, column.head));
  });
  target.append(element("thead", {}, element("tr", {}, ...cells)), element("tbody"));
}

function draw() {
  const wanted = byId("filter").value.trim().toLowerCase();
  const fits = view => [view.object, view.status, view.site, view.dn, view.reason].some(text => text?.toLowerCase().includes(wanted));
  const of = kinds => [...objects.values()].filter(view => kinds.includes(view.kind) && fits(view));
  sites([...objects.values()].filter(view => view.kind === "site"));
  table("queues", of(["queue", "routing-point"]));
  table("agents", of(["agent"]));
  table("groups", of(["group"]));
  const link = byId("link");
  const text = lost ? `no connection to the service: figures of ${new Date(heard).toLocaleTimeString()}` : heard ? "live" : "connecting …";
  if (link.textContent !== text) link.textContent = text;
  link.dataset.state = lost ? "lost" : heard ? "live" : "connecting";
}

function connect() {
  const url = new URL("stat", location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(url);
  socket.onopen = () => socket.send(JSON.stringify({ subscribe: ["*"] }));
  socket.onmessage = message => {
    const said = JSON.parse(message.data);
    if (!said.updates) return;
    if (lost || !heard) objects.clear();
    [lost, heard, pause, clock] = [false, Date.now(), 500, said.time - Date.now()];
    for (const view of said.updates) objects.set(view.object, view);
    draw();
  };
  socket.onclose = () => {
    lost = heard > 0;
    draw();
    setTimeout(connect, pause);
    pause = Math.min(2 * pause, 10000);
  };
}

byId("controls").addEventListener("submit", event => event.preventDefault());
byId("filter").addEventListener("input", draw);
byId("span").addEventListener("change", draw);
document.addEventListener("keydown", event => {
  if (event.key === "/" && document.activeElement !== byId("filter")) {
    event.preventDefault();
    byId("filter").focus();
  } else if (event.key === "Escape" && document.activeElement === byId("filter")) {
    byId("filter").value = "";
    draw();
  }
});
setInterval(draw, 1000);
connect();
