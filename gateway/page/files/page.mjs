// The page: follows the gateway's events, keeps five minutes of points, shows the newest digest.

import { set } from "/elements.mjs";
import { showFigures } from "/figures.mjs";
import { showCluster } from "/graph.mjs";
import { showNegotiations } from "/negotiations.mjs";
import { Stream } from "/stream.mjs";

const POINTS_MAX = 300;
const TOKEN = "llmx-token";

const at = (id) => document.getElementById(id);
const state = { points: [], digest: null, isPaused: false };

const stream = new Stream("/events", {
  live(kind, told) {
    const digest = kind === "begin" ? told.digest : told;
    if (kind === "begin") state.points = told.points;
    else if (digest.point) state.points = [...state.points, digest.point].slice(-POINTS_MAX);
    state.digest = digest;
    lock(false);
    say("good", "live");
    at("lost").hidden = true;
    delete document.body.dataset.stale;
    if (!state.isPaused) show();
  },
  lost(why, seconds) {
    say("bad", "connection lost");
    set(at("lost-text"), { text: `The connection is lost: ${why}. What you see is from before; trying again in ${seconds} s.` });
    at("lost").hidden = false;
    document.body.dataset.stale = "";
  },
  refused(reason, remedy) {
    sessionStorage.removeItem(TOKEN);
    say("warn", "token needed");
    set(at("token-why"), { text: `${reason}. ${remedy}.` });
    at("lost").hidden = true;
    lock(true);
    at("token-text").focus();
  },
});

function show() {
  if (!state.digest) return;
  showFigures(state.digest, state.points);
  showCluster(state.digest);
  showNegotiations(state.digest);
}

function say(kind, text) {
  set(at("live"), { text: state.isPaused && kind === "good" ? "paused" : text, "data-state": state.isPaused && kind === "good" ? "warn" : kind });
}

function lock(isLocked) {
  at("token").hidden = !isLocked;
  if (isLocked) document.body.dataset.locked = "";
  else delete document.body.dataset.locked;
}

at("pause").addEventListener("click", () => {
  state.isPaused = !state.isPaused;
  set(at("pause"), { "aria-pressed": state.isPaused, text: state.isPaused ? "Go on" : "Pause" });
  if (!("stale" in document.body.dataset)) say("good", "live");
  if (!state.isPaused) show();
});

at("again").addEventListener("click", () => stream.restart());

at("token").addEventListener("submit", (submitted) => {
  submitted.preventDefault();
  stream.token = at("token-text").value.trim();
  sessionStorage.setItem(TOKEN, stream.token);
  at("token-text").value = "";
  stream.restart();
});

stream.token = sessionStorage.getItem(TOKEN) ?? "";
stream.restart();
