// Negotiations: one line each, that opens to show all that may be shown of it.

import { keep, make, set } from "/elements.mjs";
import { agent, count, plain, plural, price, span } from "/words.mjs";

const GOOD = ["committed", "done"];
const BAD = ["failed", "no_award"];
const OFFERS_MAX = 5;

const list = document.getElementById("negotiations-list");
const rows = list.querySelector("ul");
const empty = list.querySelector(".empty");

/** Is somebody reading the list? Then lines do not move under the hand. */
const isHeld = () => rows.matches(":hover") || rows.contains(document.activeElement);

export function showNegotiations({ floor, at, graph }) {
  const isQuiet = !floor.talks.length;
  empty.hidden = !isQuiet;
  rows.hidden = isQuiet;
  const held = isHeld() ? [...rows.children].map((row) => row.dataset.key) : [];
  const place = (talk) => (held.length && held.includes(talk.id) ? held.indexOf(talk.id) : held.length);
  const talks = held.length ? [...floor.talks].sort((one, other) => place(one) - place(other)) : floor.talks;
  keep(rows, talks, (talk) => talk.id, newRow, (row, talk) => showTalk(row, talk, at));
  const more = floor.known - floor.talks.length;
  const shown = [`${plural(floor.open, "is", "are")} open at ${graph.gateway}`, more > 0 && `${count(more)} more are remembered`];
  set(document.getElementById("negotiations-note"), { text: shown.filter(Boolean).join(", ") });
}

function newRow() {
  return make("li", { class: "talk" },
    make("details", {},
      make("summary", {},
        make("span", { class: "pill" }),
        make("span", { class: "who-talks" }, make("strong"), make("small")),
        make("span", { class: "answers" }, make("progress", { "aria-label": "answers" }), make("small")),
        make("span", { class: "offers" }),
        make("span", { class: "when" })),
      make("div", { class: "inside-talk" }, make("p"), make("div", { class: "offers all" }), make("code"))));
}

function showTalk(row, talk, at) {
  const [summary, inside] = row.firstChild.children;
  const [pill, who, answers, offers, when] = summary.children;
  const state = !talk.is_over ? "open" : GOOD.includes(talk.state) ? "good" : BAD.includes(talk.state) ? "bad" : "warn";
  set(pill, { text: plain(talk.state), "data-state": state });
  set(who.children[0], { text: agent(talk.initiator) });
  set(who.children[1], { text: [talk.protocol, talk.policy, talk.round > 1 && `round ${talk.round}`].filter(Boolean).join(" · ") });
  set(answers.children[0], { value: talk.answered, max: Math.max(1, talk.eligible) });
  set(answers.children[1], { text: `${talk.answered} of ${talk.eligible} answered` });
  showOffers(offers, inLine(talk));
  set(when, { text: whenOf(talk, at) });
  const [text, all, id] = inside.children;
  const why = [talk.closed_by && `closed by ${plain(talk.closed_by)}`, talk.reason && talk.reason !== "awarded" && `because ${plain(talk.reason)}`];
  const said = [plural(talk.offers, "offer"), ...why, `tenant ${talk.tenant}`, talk.parties_more && `${plural(talk.parties_more, "party", "parties")} not shown`];
  set(text, { text: said.filter(Boolean).join(" · ") });
  showOffers(all, talk.parties);
  set(id, { text: talk.id });
}

/** The parties that a closed line has room for, and how many more have said something. */
function inLine(talk) {
  const heard = talk.parties.filter((party) => party.word !== "called");
  // Whoever was only called comes last, so behind some that were those not told of count too.
  const more = heard.length - OFFERS_MAX + (heard.length === talk.parties.length ? talk.parties_more : 0);
  const shown = heard.slice(0, OFFERS_MAX);
  return more > 0 ? [...shown, { agent: `+${count(more)}`, word: "more", value: null }] : shown;
}

function whenOf(talk, at) {
  if (!talk.is_over) return talk.due_at === null ? "" : talk.due_at > at ? `${span(talk.due_at - at)} left` : "is due";
  return talk.ended_at === null ? "over" : `took ${span(talk.ended_at - talk.opened_at)}`;
}

function showOffers(parent, parties) {
  keep(parent, parties, (party) => party.agent, () => make("span", { class: "offer" }, make("span"), make("b")), (chip, party) => {
    const [name, value] = chip.children;
    const isMore = party.word === "more";
    set(chip, { "data-word": party.word, title: isMore ? "Open the line to see them" : `${party.agent} ${plain(party.word)}` });
    set(name, { text: agent(party.agent) });
    set(value, { text: isMore ? "" : party.value === null ? plain(party.word) : party.word === "won" ? `${price(party.value)} won` : price(party.value) });
  });
}
