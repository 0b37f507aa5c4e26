// The cluster: members on an ellipse, a line for each link, and the table that says the same.

import { draw, keep, make, set } from "/elements.mjs";
import { spark } from "/spark.mjs";
import { count, plural, span } from "/words.mjs";

const GONE_SECONDS = 60; // how long one that has left is still shown
const TRIPS = 60;

const LINK = { open: ["good", "linked"], relayed: ["warn", "relayed"], down: ["bad", "no link"] };
const DISCOVERY = {
  alone: ["", "stands alone"],
  static: ["good", "members from settings"],
  etcd: ["good", "etcd answers"],
  etcd_lost: ["bad", "etcd is away"],
};

const seen = new Map(); // id -> node, when it was there last
const trips = new Map(); // id -> the last round trips

export function showCluster(digest) {
  const { graph, at } = digest;
  const nodes = withDeparted(graph.nodes, at);
  const own = new Map(
    graph.edges.filter((edge) => edge.own).map((edge) => [edge.a === graph.gateway ? edge.b : edge.a, edge]),
  );
  for (const [id, edge] of own) {
    const known = trips.get(id) ?? [];
    known.push(edge.state === "open" ? edge.round_trip : null);
    trips.set(id, known.slice(-TRIPS));
  }
  for (const id of trips.keys()) if (!own.has(id)) trips.delete(id);
  showPills(graph, digest.draining);
  drawGraph(graph, nodes, digest);
  showMembers(graph, nodes, own, digest);
}

function withDeparted(nodes, at) {
  for (const node of nodes) seen.set(node.id, { node, at });
  for (const [id, known] of seen) if (at - known.at > GONE_SECONDS || at < known.at) seen.delete(id);
  const there = new Set(nodes.map((node) => node.id));
  const departed = [...seen.values()].filter(({ node }) => !there.has(node.id));
  return [...nodes, ...departed.map(({ node, at: last }) => ({ ...node, reach: "gone", leftAt: last }))].sort(
    (one, other) => one.region.localeCompare(other.region) || one.id.localeCompare(other.id),
  );
}

function showPills(graph, draining) {
  const [state, text] = DISCOVERY[graph.discovery] ?? ["", graph.discovery];
  set(document.getElementById("discovery"), { text, "data-state": state || null, hidden: null });
  const names = [graph.gateway, graph.cluster && `in ${graph.cluster}`, draining && "being emptied"];
  set(document.getElementById("who"), { text: names.filter(Boolean).join(" · ") });
  document.title = `${graph.gateway} · LLM-X`;
  const there = graph.nodes.length + graph.more;
  const broken = graph.edges.filter((edge) => edge.state !== "open").length;
  set(document.getElementById("cluster-note"), {
    text:
      there === 1 && graph.discovery === "alone"
        ? "one gateway; llmx up --regions eu,us,ap shows several"
        : `${plural(there, "member")}, ${plural(graph.edges.length, "link")}${broken ? `, ${broken} not open` : ""}`,
  });
}

const stateOf = (node) => (node.reach === "gone" ? "gone" : node.leaving ? "leaving" : node.reach);

function drawGraph(graph, nodes, digest) {
  const svg = document.getElementById("graph");
  const { width, height } = svg.viewBox.baseVal;
  const radius = nodes.length > 12 ? 13 : nodes.length > 7 ? 19 : 26;
  const places = placesOf(nodes, [80, width - 80], [radius + 14, height - radius - 40]);
  if (!svg.children.length) svg.append(draw("g"), draw("g"), draw("g"));
  const [lines, labels, circles] = svg.children;
  const edges = graph.edges.filter((edge) => places.has(edge.a) && places.has(edge.b));
  const key = (edge) => `${edge.a} ${edge.b}`;
  keep(lines, edges, key, () => draw("line", { class: "edge" }), (line, edge) => {
    const [[x1, y1], [x2, y2]] = [places.get(edge.a), places.get(edge.b)];
    set(line, { x1, y1, x2, y2, "data-state": edge.state, "data-own": edge.own });
  });
  const labelled = nodes.length > 8 ? [] : edges.filter((edge) => edge.own);
  keep(labels, labelled, key, () => draw("text", { class: "trip" }), (text, edge) => {
    const [near, far] = edge.a === graph.gateway ? [edge.a, edge.b] : [edge.b, edge.a];
    const [[x1, y1], [x2, y2]] = [places.get(near), places.get(far)];
    const said = edge.state === "open" ? span(edge.round_trip) : LINK[edge.state][1];
    set(text, { x: x1 + (x2 - x1) * 0.52, y: y1 + (y2 - y1) * 0.52 + 4, text: said });
  });
  keep(circles, nodes, (node) => node.id, () =>
    draw("g", { class: "node" },
      draw("circle", { class: "halo", r: radius + 9 }), draw("circle", { class: "body", r: radius }),
      draw("text", { class: "inside", y: 5 }), draw("text"), draw("text", { class: "region" })),
  (group, node) => {
    const [x, y] = places.get(node.id);
    const state = stateOf(node);
    set(group, { transform: `translate(${x} ${y})`, "data-state": state });
    const [halo, body, inside, name, region] = group.children;
    set(halo, { r: state === "self" ? radius + 9 : 0 });
    set(body, { r: radius });
    const sessions = state === "self" ? digest.sessions : node.load;
    set(inside, { text: state === "gone" || sessions === null || radius < 19 ? "" : count(sessions) });
    set(name, { y: radius + 18, text: node.id.length > 18 ? `${node.id.slice(0, 17)}…` : node.id });
    const where = { gone: "left", leaving: "leaving" }[state] ?? (node.region === node.id ? "" : node.region);
    set(region, { y: radius + 33, text: radius < 19 ? "" : where });
  });
  const members = nodes.map((node) => `${node.id} ${stateOf(node)}`).join(", ");
  const open = graph.edges.filter((edge) => edge.state === "open").length;
  set(svg, { "aria-label": `Members: ${members}. ${open} of ${plural(graph.edges.length, "link")} open.` });
}

/** Put members on a circle, and stretch that over what room there is. */
function placesOf(nodes, across, down) {
  const first = nodes.length === 2 ? Math.PI : -Math.PI / 2;
  const angles = nodes.map((_, index) => first + (2 * Math.PI * index) / nodes.length);
  const spread = (values, [low, high]) => {
    const [least, most] = [Math.min(...values), Math.max(...values)];
    const isFlat = most - least < 1e-6;
    return values.map((value) => (isFlat ? (low + high) / 2 : low + ((value - least) / (most - least)) * (high - low)));
  };
  const [xs, ys] = [spread(angles.map(Math.cos), across), spread(angles.map(Math.sin), down)];
  return new Map(nodes.map((node, index) => [node.id, [xs[index], ys[index]]]));
}

function showMembers(graph, nodes, own, digest) {
  const body = document.querySelector("#members tbody");
  keep(body, nodes, (node) => node.id, () => {
    const row = make("tr", {}, ...["name", "link", "trip", "number", "number", "number wide"].map((kind) => make("td", { class: kind })));
    row.children[0].append(make("b"), " ", make("span", { class: "region" }));
    row.children[1].append(make("span", { class: "dot" }));
    row.children[2].append(make("span"), draw("svg", { class: "spark small", viewBox: "0 0 300 40", preserveAspectRatio: "none", "aria-hidden": "true" }));
    return row;
  }, (row, node) => {
    const edge = own.get(node.id);
    const [name, link, trip, waiting, sessions, up] = row.children;
    set(name.children[0], { text: node.id });
    set(name.children[1], { text: node.region === node.id ? "" : node.region });
    set(name, { title: `${node.id} · ${node.address} · version ${node.version}` });
    const [state, word] =
      node.reach === "gone" ? ["bad", `left ${span(digest.at - node.leftAt)} ago`]
      : node.leaving ? ["warn", "leaving"]
      : node.reach === "self" ? ["good", "this one"]
      : LINK[edge?.state ?? "down"];
    set(link.children[0], { text: word, "data-state": state });
    const isOpen = edge?.state === "open" && node.reach !== "gone";
    set(trip.children[0], { text: isOpen ? span(edge.round_trip) : "–" });
    spark(trip.children[1], isOpen ? [trips.get(node.id) ?? []] : [[]], TRIPS);
    set(waiting, { text: isOpen || edge?.waiting ? count(edge.waiting) : "–" });
    const load = node.reach === "self" ? digest.sessions : node.reach === "gone" ? null : node.load;
    set(sessions, { text: load === null ? "–" : count(load) });
    set(up, { text: node.started_at && node.reach !== "gone" ? span(digest.at - node.started_at) : "–" });
  });
}
