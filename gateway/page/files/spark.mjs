// A line for each series, from the left edge to the right one, where now is.

import { draw, set } from "/elements.mjs";

const WIDTH = 300;

/** Draw series (arrays with null for gaps) with one scale that begins at 0; `slots` fill the width. */
export function spark(svg, series, slots) {
  const height = svg.viewBox.baseVal.height;
  const known = series.flat().filter((value) => value !== null);
  const most = Math.max(...known, 0) || 1;
  const at = (place, value, length) => [
    (WIDTH * (slots - length + place + 0.5)) / slots,
    height - 2 - (value / most) * (height - 5),
  ];
  const lines = series.map((values) => lineOf(values, (place, value) => at(place, value, values.length)));
  const first = series[0] ?? [];
  const gapless = first.length > 1 && !first.includes(null);
  const area = gapless ? areaOf(lines[0], at(0, 0, first.length)[0], at(first.length - 1, 0, first.length)[0], height) : "";
  const wanted = [["area", area], ...lines.map((line, place) => [place ? "second" : "first", line])];
  while (svg.children.length < wanted.length) svg.append(draw("path"));
  while (svg.children.length > wanted.length) svg.lastChild.remove();
  wanted.forEach(([kind, path], place) => set(svg.children[place], { class: kind, d: path || "M0 0" }));
}

function lineOf(values, at) {
  let path = "";
  let isDown = false;
  values.forEach((value, place) => {
    if (value === null) {
      isDown = false;
      return;
    }
    const [x, y] = at(place, value);
    path += `${isDown ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    if (!isDown) path += "h.1"; // a point alone is seen too
    isDown = true;
  });
  return path;
}

const areaOf = (line, from, to, height) => `${line}L${to.toFixed(1)} ${height}L${from.toFixed(1)} ${height}Z`;
