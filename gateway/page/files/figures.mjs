// The tiles with their sparklines, refusals, sessions, awards.

import { keep, make, set } from "/elements.mjs";
import { spark } from "/spark.mjs";
import { agent, count, plain, price, rate, span } from "/words.mjs";

// Columns of a point, as the gateway writes it.
const [, SESSIONS, OPEN, MESSAGES, FINISHED, REFUSED, P50, P95] = [0, 1, 2, 3, 4, 5, 6, 7];

const OWED = {
  llmx_awards_written_total: "awards written to etcd",
  llmx_awards_found_total: "awards found there already",
  llmx_awards_waiting: "awards that wait for etcd",
  llmx_awards_blind_total: "awards told while nobody saw etcd",
  llmx_awards_doubled_total: "of them doubled",
  llmx_holds_expired_total: "holds that ended by their time",
  llmx_mailbox_messages: "messages in mailboxes",
  llmx_shard_queue: "events that wait for shards",
};

export function showFigures(digest, points) {
  const column = (place) => points.map((point) => point[place]);
  const now = digest.point ?? [0, digest.sessions, digest.floor.open, 0, 0, 0, null, null];
  const { figures } = digest;
  const away = figures.llmx_remote_agents;
  tile("sessions", count(digest.sessions), away ? `agents with a stream; ${count(away)} elsewhere` : "agents with a stream", [column(SESSIONS)]);
  tile("messages", rate(now[MESSAGES]), "admitted a second", [column(MESSAGES)]);
  tile("negotiations", count(digest.floor.open), `open now; ${rate(now[FINISHED])} a second end`, [column(OPEN)]);
  tile("latency", span(digest.p50), digest.p95 === null ? "from call to outcome" : `median; 95 of 100 within ${span(digest.p95)}`, [column(P95), column(P50)]);
  const lately = digest.refusals.reduce((sum, one) => sum + one.lately, 0);
  const svg = tile("refused", count(lately), "in five minutes", [column(REFUSED)]);
  svg.classList.toggle("alarm", lately > 0);
  showRefusals(digest.refusals);
  showSessions(digest);
  showAwards(digest);
}

function tile(name, figure, note, series) {
  const card = document.getElementById(`tile-${name}`);
  set(card.querySelector(".figure"), { text: figure });
  set(card.querySelector(".note"), { text: note });
  const svg = card.querySelector(".spark");
  spark(svg, series, Math.min(300, Math.max(60, series[0].length)));
  return svg;
}

function showRefusals(refusals) {
  const parent = document.getElementById("refusals");
  const most = Math.max(1, ...refusals.map((one) => one.lately));
  parent.hidden = !refusals.length;
  parent.nextElementSibling.hidden = refusals.length > 0;
  keep(parent, refusals, (one) => one.code, () =>
    make("li", {}, make("span"), make("span", { class: "number" }, make("b"), make("span")), make("progress")),
  (row, one) => {
    const [code, numbers, bar] = row.children;
    set(code, { text: plain(one.code).toLowerCase(), title: one.code });
    set(numbers.children[0], { text: count(one.lately) });
    set(numbers.children[1], { text: ` · ${count(one.total)}` });
    set(bar, { value: one.lately, max: most, "aria-label": `${one.code} in five minutes` });
  });
}

function showSessions(digest) {
  const table = document.getElementById("sessions");
  const isEmpty = !digest.seats.length;
  table.hidden = isEmpty;
  table.nextElementSibling.hidden = !isEmpty;
  const own = digest.graph.nodes.find((node) => node.id === digest.graph.gateway);
  set(document.getElementById("sessions-address"), { text: own?.address ?? "" });
  set(document.getElementById("sessions-command"), { text: `export LLMX_GATEWAY=${own?.address ?? ""}\nllmx agent agent://bob --topic gpu --strategy fixed --param value=40` });
  const more = digest.sessions - digest.seats.length;
  set(document.getElementById("sessions-note"), { text: more > 0 ? `and ${count(more)} more` : "" });
  keep(table.tBodies[0], digest.seats, (seat) => `${seat.tenant} ${seat.agent}`, () =>
    make("tr", {}, make("td"), make("td"), make("td", { class: "number" }), make("td", { class: "number" })),
  (row, seat) => {
    const texts = [agent(seat.agent), seat.tenant, count(seat.waiting), span(digest.at - seat.since)];
    texts.forEach((text, place) => set(row.children[place], { text, title: place ? null : seat.agent }));
  });
}

function showAwards({ outcomes, figures, labelled, ledger }) {
  const rows = Object.entries(outcomes).map(([state, number]) => [`negotiations ${plain(state)}`, count(number)]);
  for (const [name, meaning] of Object.entries(OWED)) if (figures[name]) rows.push([meaning, count(figures[name])]);
  if (ledger) {
    rows.push(["awards settled in the ledger", count(ledger.settled)], ["refused by the ledger", count(ledger.refused)]);
    if (ledger.undone) rows.push(["written and taken back", count(ledger.undone)]);
    if (ledger.working) rows.push(["waiting for the ledger", count(ledger.working)]);
  }
  for (const [how, value] of Object.entries(labelled.llmx_credits_moved_total ?? {})) {
    if (value) rows.push([`credits ${plain(how)}`, price(value)]);
  }
  const differences = Object.entries(labelled.llmx_ledger_difference_credits ?? {});
  for (const [of, value] of differences) if (value) rows.push([`the ledger differs, ${plain(of)}`, price(value)]);
  for (const [of, value] of Object.entries(labelled.llmx_jain ?? {})) rows.push([`Jain's index, ${of}`, price(value)]);
  if (figures.llmx_fenced) rows.push(["fenced", "decides nothing now"]);
  if (figures.llmx_store_available === 0) rows.push(["store", "takes nothing now"]);
  const parent = document.getElementById("awards");
  parent.hidden = !rows.length;
  parent.nextElementSibling.hidden = rows.length > 0;
  const flat = rows.flatMap(([name, value]) => [["dt", name, name], ["dd", `= ${name}`, value]]);
  keep(parent, flat, ([, key]) => key, ([tag]) => make(tag), (cell, [, , text]) => set(cell, { text }));
}
