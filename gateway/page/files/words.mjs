// Figures as people read them.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export const count = (value) => (value < 100000 ? whole : short).format(value);
export const rate = (value) => (value >= 100 ? whole : value >= 10 ? new Intl.NumberFormat("en", { maximumFractionDigits: 1 }) : fine).format(value);
export const price = (value) => fine.format(value);

/** A span in seconds: "0.4 ms", "12 ms", "3.2 s", "4 min", "2 h", "3 d". */
export function span(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const past = Math.max(0, seconds);
  if (past < 0.0995) return `${Number((past * 1000).toPrecision(2))} ms`;
  if (past < 0.9995) return `${Math.round(past * 1000)} ms`;
  if (past < 9.95) return `${past.toFixed(1)} s`;
  if (past < 99.5) return `${Math.round(past)} s`;
  if (past < 5940) return `${Math.round(past / 60)} min`;
  if (past < 172800) return `${Math.round(past / 3600)} h`;
  return `${Math.round(past / 86400)} d`;
}

/** An agent without the part that all addresses share. */
export const agent = (address) => address.replace(/^agent:\/\//, "");

export const plain = (word) => word.replaceAll("_", " ");

export const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;
