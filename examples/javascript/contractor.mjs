// A contractor without the Python library: one stream, the rules of exchange_service.proto.
//
//   node contractor.mjs [price]
//
// LLMX_TOKEN holds the JWT, LLMX_GATEWAY the gateway (127.0.0.1:7600), LLMX_TOPIC a topic (gpu).

import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import grpc from '@grpc/grpc-js';
import loader from '@grpc/proto-loader';

const ADDRESS = process.env.LLMX_GATEWAY ?? '127.0.0.1:7600';
const TOKEN = process.env.LLMX_TOKEN ?? '';
const TOPIC = process.env.LLMX_TOPIC ?? 'gpu';
const PRICE = Number(process.argv[2] ?? 40);
const SCHEMA = 'https://llm-x.org/schemas/v1/Negotiation.json';
const WAIT_FIRST_MS = 200;
const WAIT_LONGEST_MS = 15_000;
const SEEN_MAX = 10_000;
const CONFIRM_AFTER = 16; // batches that may come while we send nothing
const SILENT_HEARTBEATS = 3; // after so many without a frame a stream is dead

const protos = fileURLToPath(new URL('../../proto', import.meta.url));
const definition = loader.loadSync('llmx/v1/exchange_service.proto', {
  includeDirs: [protos],
  keepCase: true, // names as in the .proto files
  enums: String,
  longs: Number,
  defaults: true, // an empty list is a list
  oneofs: true, // frame.content says which kind a frame is
});
const { ExchangeService } = grpc.loadPackageDefinition(definition).llmx.v1;

// What outlives a stream: the session.
let resumeToken = ''; // says in the next Hello which session to go on with
let sent = 0; // the number of the last batch we sent
let received = 0; // the number of the last batch we handled
let flights = []; // {number, envelopes, acked_msg_ids}: batches that are not confirmed
const seen = new Set(); // messages that were handed on; a repeat is only acknowledged
let addresses = [ADDRESS]; // where to connect: a gateway that stops may name others
let me = ''; // the agent that the token names; the Welcome tells

// What belongs to one stream.
let client = null;
let stream = null;
let saidAt = 0;
let heardAt = 0;
let unanswered = 0; // batches that came since we sent anything
let pulse = null; // the timer that shows we are alive
let reconnectAfter = 0; // ms; a Goodbye may ask for it
let failures = 0;
let leaving = false;
let waiting = null; // the timer of the next try

function write(frame) {
  saidAt = Date.now();
  unanswered = 0;
  stream.write({ confirmed_number: received, ...frame }); // a bare frame has the number 0
}

function send({ envelopes = [], acked_msg_ids = [] }) {
  sent += 1;
  flights.push({ number: sent, envelopes, acked_msg_ids });
  write({ number: sent, batch: { envelopes, acked_msg_ids } });
}

function post(act, body, negotiation_id, in_reply_to) {
  const payload = { $schema: SCHEMA, act: act.toLowerCase().replace('_', '-'), ...body };
  const envelope = {
    msg_id: randomUUID(),
    ts: new Date().toISOString(),
    sender: me,
    act: `ACT_${act}`,
    negotiation_id,
    in_reply_to,
    payload: Buffer.from(JSON.stringify(payload)),
  };
  send({ envelopes: [envelope] });
  return envelope.msg_id;
}

function handle(envelope) {
  const body = JSON.parse(envelope.payload.toString('utf8'));
  const { act, negotiation_id, msg_id, sender } = envelope;
  switch (act) {
    case 'ACT_CFP':
      console.log(`call from ${sender}: ${JSON.stringify(body.task ?? {})}, offering ${PRICE}`);
      post('OFFER', { value: PRICE, conditions: { start_in: 1 } }, negotiation_id, msg_id);
      break;
    case 'ACT_ACCEPT':
      console.log(`won ${negotiation_id} at ${body.price}`);
      if (body.award?.confirm_within !== undefined) {
        post('CONFIRM', { offer_id: body.offer_id }, negotiation_id, msg_id);
      }
      if (body.award?.report_within !== undefined) {
        post('INFORM', { result: { started: true }, done: true }, negotiation_id, msg_id);
      }
      break;
    case 'ACT_REJECT':
      console.log(`lost ${negotiation_id}: ${body.reason ?? 'no reason given'}`);
      break;
    case 'ACT_CANCEL':
      console.log(`cancelled ${negotiation_id}: ${body.reason ?? 'no reason given'}`);
      post('INFORM', { done: true, reason: 'cancelled' }, negotiation_id, msg_id);
      break;
    default:
      console.log(`${act} from ${sender}: ${JSON.stringify(body)}`);
  }
}

function welcomed(welcome, handled) {
  me = welcome.agent_id;
  failures = 0;
  addresses = [...new Set([addresses[0], ADDRESS])]; // the session lives where it was welcomed
  resumeToken = welcome.resume_token;
  console.log(`${me} is connected to ${welcome.gateway_id}${welcome.resumed ? ' again' : ''}`);
  let lost = flights;
  if (welcome.resumed) {
    // Go on counting after what the gateway handled. Its answers to that may still come, so
    // those batches are kept until a later frame confirms them.
    lost = flights.filter(({ number }) => number > handled);
    flights = flights.filter(({ number }) => number <= handled);
    sent = handled;
    if (flights.length && !lost.length) send({}); // an empty batch, to hear that confirmation
  } else {
    // Both sides begin at 1. What was to be acknowledged comes again.
    lost = flights.map(({ envelopes }) => ({ envelopes }));
    flights = [];
    sent = 0;
    received = 0;
  }
  lost.filter(({ envelopes, acked_msg_ids = [] }) => envelopes.length || acked_msg_ids.length).forEach(send);
  const heartbeat = Number(welcome.heartbeat?.seconds ?? 0) * 1000 + (welcome.heartbeat?.nanos ?? 0) / 1e6;
  if (heartbeat > 0) {
    pulse = setInterval(() => {
      if (Date.now() - heardAt >= SILENT_HEARTBEATS * heartbeat) stream.cancel();
      else if (Date.now() - saidAt >= heartbeat) write({});
    }, heartbeat / 4);
  }
}

function settled(msgId) {
  for (const flight of flights) flight.envelopes = flight.envelopes.filter(({ msg_id }) => msg_id !== msgId);
}

function took({ envelopes, refusals }) {
  for (const envelope of envelopes) {
    const id = `${envelope.sender} ${envelope.msg_id} ${envelope.negotiation_id}`;
    if (seen.has(id)) continue;
    seen.add(id);
    if (seen.size > SEEN_MAX) seen.delete(seen.values().next().value);
    handle(envelope);
  }
  for (const refusal of refusals) {
    settled(refusal.msg_id); // it is answered, and not sent again
    if (refusal.code === 'REFUSAL_CODE_DUPLICATE') continue; // it had been admitted before
    console.error(`refused, ${refusal.code} ${refusal.pointer}: ${refusal.reason}; ${refusal.remedy}`);
  }
}

function heard(frame) {
  heardAt = Date.now();
  if (frame.number > received + 1) {
    stream.cancel(); // a batch is missing: the next stream brings it
    return;
  }
  if (frame.number && frame.number <= received) return; // it was handled before
  if (frame.content === 'welcome') {
    welcomed(frame.welcome, frame.confirmed_number);
  } else if (frame.content === 'goodbye') {
    const { reason, detail, move_to, resume_token, reconnect_after } = frame.goodbye;
    console.log(`the gateway says goodbye: ${reason}, ${detail}`);
    if (move_to.length) addresses = [...new Set([...move_to, ADDRESS])];
    if (resume_token) resumeToken = resume_token;
    reconnectAfter = Number(reconnect_after?.seconds ?? 0) * 1000;
  } else if (frame.content === 'slow_consumer') {
    console.error(`too slow: ${frame.slow_consumer.waiting_messages} messages wait`);
  } else if (!frame.content || frame.content === 'batch') {
    if (frame.content) {
      took(frame.batch);
      received = frame.number;
      unanswered += 1;
      const acked_msg_ids = frame.batch.envelopes.map(({ msg_id }) => msg_id);
      if (acked_msg_ids.length) send({ acked_msg_ids });
    }
    flights = flights.filter(({ number }) => number > frame.confirmed_number);
    if (unanswered >= CONFIRM_AFTER) write({});
  }
}

function connect() {
  waiting = null;
  reconnectAfter = 0;
  client = new ExchangeService(addresses[0], grpc.credentials.createInsecure());
  const metadata = new grpc.Metadata();
  metadata.set('authorization', `Bearer ${TOKEN}`);
  stream = client.Exchange(metadata);
  stream.on('data', heard);
  stream.on('error', () => {}); // the status below says what happened
  stream.on('status', ({ code, details }) => {
    clearInterval(pulse);
    client.close();
    const final = [grpc.status.UNAUTHENTICATED, grpc.status.PERMISSION_DENIED,
      grpc.status.INVALID_ARGUMENT, grpc.status.ALREADY_EXISTS];
    if (leaving || final.includes(code)) {
      if (!leaving) console.error(details);
      process.exitCode = leaving ? 0 : 1;
      return;
    }
    failures += 1;
    if (failures > 1) addresses.push(addresses.shift()); // nobody answered there: the next one
    const longest = Math.min(WAIT_LONGEST_MS, WAIT_FIRST_MS * 2 ** (failures - 1));
    // Full jitter, so that a crowd spreads.
    waiting = setTimeout(connect, reconnectAfter + Math.random() * longest);
  });
  const hello = {
    capabilities: ['propose'],
    topics: [TOPIC],
    user_agent: 'contractor.mjs/0.1',
    resume_token: resumeToken,
  };
  write({ hello }); // its number is 0, and it confirms the last batch of the session
}

process.once('SIGINT', () => {
  leaving = true;
  clearTimeout(waiting);
  if (!waiting) stream.end();
});
connect();
