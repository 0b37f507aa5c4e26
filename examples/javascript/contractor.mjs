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
const client = new ExchangeService(ADDRESS, grpc.credentials.createInsecure());

const unconfirmed = []; // {frame, envelope}: what a new stream sends again
const seen = new Set(); // what was handed on; a repeat is only acknowledged
let me = ''; // the agent that the token names; the Welcome tells
let stream = null;
let number = 0; // of the last frame we sent on this stream
let confirmed = 0; // of the last frame we handled on this stream
let failures = 0;
let leaving = false;
let waiting = null; // the timer of the next try

function send(content) {
  number += 1;
  stream.write({ number, confirmed_number: confirmed, ...content });
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
  unconfirmed.push({ frame: number + 1, envelope });
  send({ batch: { envelopes: [envelope] } });
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

function heard(frame) {
  if (frame.content === 'welcome') {
    me = frame.welcome.agent_id;
    failures = 0;
    console.log(`${me} is connected to ${frame.welcome.gateway_id}`);
    const again = unconfirmed.splice(0).map(({ envelope }) => envelope);
    if (again.length) {
      again.forEach((envelope) => unconfirmed.push({ frame: number + 1, envelope }));
      send({ batch: { envelopes: again } });
    }
  } else if (frame.content === 'batch') {
    const { envelopes, refusals } = frame.batch;
    for (const envelope of envelopes) {
      const id = `${envelope.sender} ${envelope.msg_id} ${envelope.negotiation_id}`;
      if (seen.has(id)) continue;
      seen.add(id);
      if (seen.size > SEEN_MAX) seen.delete(seen.values().next().value);
      handle(envelope);
    }
    for (const refusal of refusals) {
      if (refusal.code === 'REFUSAL_CODE_DUPLICATE') continue; // it had been admitted before
      console.error(`refused, ${refusal.code} ${refusal.pointer}: ${refusal.reason}; ${refusal.remedy}`);
    }
    confirmed = frame.number;
    const acked_msg_ids = envelopes.map(({ msg_id }) => msg_id);
    if (acked_msg_ids.length) send({ batch: { acked_msg_ids } });
  } else if (frame.content === 'goodbye') {
    console.log(`the gateway says goodbye: ${frame.goodbye.reason}, ${frame.goodbye.detail}`);
  }
  confirmed = frame.number;
  while (unconfirmed.length && unconfirmed[0].frame <= frame.confirmed_number) unconfirmed.shift();
}

function connect() {
  waiting = null;
  number = 0;
  confirmed = 0;
  const metadata = new grpc.Metadata();
  metadata.set('authorization', `Bearer ${TOKEN}`);
  stream = client.Exchange(metadata);
  stream.on('data', heard);
  stream.on('error', () => {}); // the status below says what happened
  stream.on('status', ({ code, details }) => {
    const final = [grpc.status.UNAUTHENTICATED, grpc.status.PERMISSION_DENIED,
      grpc.status.INVALID_ARGUMENT, grpc.status.ALREADY_EXISTS];
    if (leaving || final.includes(code)) {
      if (!leaving) console.error(details);
      client.close();
      process.exitCode = leaving ? 0 : 1;
      return;
    }
    failures += 1;
    const longest = Math.min(WAIT_LONGEST_MS, WAIT_FIRST_MS * 2 ** (failures - 1));
    waiting = setTimeout(connect, Math.random() * longest); // full jitter, so that a crowd spreads
  });
  send({ hello: { capabilities: ['propose'], topics: [TOPIC], user_agent: 'contractor.mjs/0.1' } });
}

process.once('SIGINT', () => {
  leaving = true;
  clearTimeout(waiting);
  if (waiting) client.close();
  else stream.end();
});
connect();
