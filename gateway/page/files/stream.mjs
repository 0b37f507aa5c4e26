// Server-sent events over fetch, because EventSource cannot send a token. Reconnects by itself.

const SILENT_MS = 5000; // a digest comes every second; this long without one is a lost connection
const FIRST_WAIT_MS = 1000;
const MOST_WAIT_MS = 10000;

/** Yield [kind, text] for each event of a body, whatever way its bytes were cut. */
export async function* eventsOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    let end;
    while ((end = rest.indexOf("\n\n")) >= 0) {
      const lines = rest.slice(0, end).split("\n");
      rest = rest.slice(end + 2);
      let kind = "message";
      const texts = [];
      for (const line of lines) {
        if (line.startsWith("event: ")) kind = line.slice(7);
        else if (line.startsWith("data: ")) texts.push(line.slice(6));
      }
      if (texts.length) yield [kind, texts.join("\n")];
    }
  }
}

/**
 * Follow the events of a gateway for ever. `hear` gets what it said: live, lost, refused.
 * Only a refusal that a token mends stops it, until `restart`.
 */
export class Stream {
  constructor(address, hear) {
    this.address = address;
    this.hear = hear;
    this.token = "";
    this.wait = FIRST_WAIT_MS;
    this.run = 0;
  }

  /** Connect at once, whatever is going on. */
  restart() {
    this.run += 1;
    this.abort?.abort();
    clearTimeout(this.timer);
    this.connect(this.run);
  }

  async connect(run) {
    this.abort = new AbortController();
    const { signal } = this.abort;
    let watch;
    const watched = () => {
      clearTimeout(watch);
      watch = setTimeout(() => this.run === run && this.abort.abort("silent"), SILENT_MS);
    };
    let why = "the gateway does not answer";
    try {
      watched();
      const headers = this.token ? { Authorization: `Bearer ${this.token}` } : {};
      const answer = await fetch(this.address, { headers, signal, cache: "no-store", credentials: "omit" });
      if (!answer.ok) {
        const { reason, remedy } = await answer.json();
        why = `${reason}: ${remedy}`;
        if (answer.status === 401 || answer.status === 403) {
          if (this.run === run) this.hear.refused(reason, remedy);
          return;
        }
        throw new Error(why);
      }
      for await (const [kind, text] of eventsOf(answer.body)) {
        if (this.run !== run) return;
        watched();
        if (kind === "end") {
          why = text;
          break;
        }
        this.wait = FIRST_WAIT_MS;
        this.hear.live(kind, JSON.parse(text));
      }
    } catch (error) {
      if (signal.reason === "silent") why = "nothing was heard for five seconds";
    } finally {
      clearTimeout(watch);
    }
    if (this.run === run) this.later(run, why);
  }

  later(run, why) {
    const seconds = Math.round(this.wait / 1000);
    this.hear.lost(why, seconds);
    this.timer = setTimeout(() => this.run === run && this.connect(run), this.wait);
    this.wait = Math.min(this.wait * 2, MOST_WAIT_MS);
  }
}
