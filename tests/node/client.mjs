// What people do with the official TypeScript client, one story after another.
//
//   node client.mjs http://127.0.0.1:8080
//
// Prints one JSON object, story -> what was seen; tests/client judges it. Every story
// has streams of its own. A story that throws is seen as {"error": ...}.

import { randomUUID } from "node:crypto"
import { DurableStream, IdempotentProducer, stream } from "@durable-streams/client"

const base = process.argv[2]
const PATIENCE_MS = 60_000

const TYPES = { json: "application/json", text: "text/plain", bytes: "image/png" }

// Payloads that a careless SSE encoder would spoil: leading spaces, every kind of
// line end, characters of several bytes, bytes that are no text at all.
const PAYLOADS = {
  json: [`{"n":1}`, `{"n":2,"s":" é\\r\\n"}`, `[{"n":3},{"n":4}]`],
  text: ["first", "  two spaces", "é\n\nlast"],
  bytes: [Uint8Array.of(0, 10, 13), Uint8Array.of(255, 254), Uint8Array.of(128)],
}

/** A stream that keeps the `live=` words its client asked with. */
async function create(kind, options = {}) {
  const url = `${base}/v1/stream/client/${randomUUID()}`
  const asked = []
  const spy = (input, init) => {
    if ((init?.method ?? "GET") === "GET") {
      asked.push(new URL(input).searchParams.get("live") ?? "catch-up")
    }
    return fetch(input, init)
  }
  const contentType = TYPES[kind]
  const made = await DurableStream.create({ url, contentType, fetch: spy, ...options })
  return { url, asked, made, fetch: spy }
}

/** The promise's outcome, or an error that tells what was waited for in vain. */
async function soon(promise, what) {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited for ${what()}`)), PATIENCE_MS)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

/** What a reader has seen so far, and a promise for having seen so many items. */
function gather(kind, response) {
  const seen = []
  let grown = () => {}
  const take = (items) => {
    seen.push(...items)
    grown()
  }
  if (kind === "json") response.subscribeJson((batch) => take(batch.items))
  if (kind === "text") response.subscribeText((chunk) => take([...chunk.text]))
  if (kind === "bytes") response.subscribeBytes((chunk) => take([...chunk.data]))
  const reach = async (count) => {
    while (seen.length < count) await new Promise((resolve) => (grown = resolve))
  }
  const until = (count) =>
    soon(reach(count), () => `${count} items, but saw ${JSON.stringify(seen)}`)
  return { seen, until }
}

/** The payloads as the items that `gather` sees. */
function items(kind, payloads) {
  if (kind === "json") return payloads.map((payload) => JSON.parse(payload))
  if (kind === "text") return [...payloads.join("")]
  return payloads.flatMap((payload) => [...payload])
}

const shown = (kind, seen) => (kind === "text" ? seen.join("") : seen)

/** Append one payload, tail from the start, append the rest while tailing, close. */
async function tail(kind, live) {
  const { url, asked, made, fetch } = await create(kind)
  const [first, ...rest] = PAYLOADS[kind]
  await made.append(first)
  const response = await stream({ url, live, fetch })
  const { seen, until } = gather(kind, response)
  let sent = [first]
  await until(items(kind, sent).length)
  for (const payload of rest) {
    sent = [...sent, payload]
    await made.append(payload)
    await until(items(kind, sent).length)
  }
  await made.close()
  await soon(response.closed, () => "the end of a closed stream")
  return {
    seen: shown(kind, seen),
    closed: response.streamClosed,
    asked: [...new Set(asked)],
  }
}

/** Follow from an offset that this stream has not reached; append once that is told. */
async function lost(live) {
  const { url, made } = await create("text")
  await made.append("new")
  const end = (await made.head()).offset
  const longer = (await create("text")).made
  await longer.append("what was there before")
  const { offset } = await longer.head()
  let follows
  const following = new Promise((resolve) => (follows = resolve))
  const spy = (input, init) => {
    const { searchParams } = new URL(input)
    if (searchParams.has("live") && searchParams.get("offset") === end) follows()
    return fetch(input, init)
  }
  const response = await stream({ url, live, offset, fetch: spy })
  const { seen, until } = gather("text", response)
  await soon(following, () => "a live read from the end")
  await made.append("er")
  await until(2)
  await made.close()
  await soon(response.closed, () => "the end of a closed stream")
  return { seen: seen.join("") }
}

const STORIES = {
  async "catch-up json"() {
    const { url, made, asked, fetch } = await create("json")
    for (const payload of PAYLOADS.json) await made.append(payload)
    const response = await stream({ url, live: false, fetch })
    const seen = await response.json()
    const head = await made.head()
    return {
      seen,
      upToDate: response.upToDate,
      atTheEnd: response.offset === head.offset,
      asked,
    }
  },

  async "catch-up text"() {
    const { url, made } = await create("text")
    for (const payload of PAYLOADS.text) await made.append(payload)
    return { seen: await (await stream({ url, live: false })).text() }
  },

  async "catch-up bytes"() {
    const { url, made } = await create("bytes")
    for (const payload of PAYLOADS.bytes) await made.append(payload)
    return { seen: [...(await (await stream({ url, live: false })).body())] }
  },

  async "resume at an offset"() {
    const { url, made } = await create("json")
    await made.append(`{"n":1}`)
    const before = await stream({ url, live: false })
    await before.json()
    await made.append(`{"n":2}`)
    const after = await stream({ url, live: false, offset: before.offset })
    return { seen: await after.json() }
  },

  async "resume at the tail"() {
    const { url, made } = await create("json")
    await made.append(`{"n":1}`)
    const { offset } = await made.head()
    const response = await stream({ url, live: false, offset })
    return { seen: await response.json(), upToDate: response.upToDate }
  },

  async "read what was just written"() {
    const { url, made } = await create("json")
    const counts = []
    for (let n = 1; n <= 5; n++) {
      await made.append(JSON.stringify({ n }))
      counts.push((await (await stream({ url, live: false })).json()).length)
    }
    return { counts }
  },

  async "idempotent producer"() {
    const { url, made } = await create("json")
    const send = async () => {
      const producer = new IdempotentProducer(made, "writer", { epoch: 0, lingerMs: 0 })
      for (let n = 1; n <= 20; n++) {
        producer.append(JSON.stringify({ n }))
        await producer.flush()
      }
      await producer.detach()
    }
    await send()
    await send() // the same epoch and sequence numbers again: duplicates
    const seen = await (await stream({ url, live: false })).json()
    return { seen: seen.map(({ n }) => n) }
  },

  async "close ends a catch-up read"() {
    const { url, made } = await create("json")
    await made.append(`{"n":1}`)
    const { finalOffset } = await made.close({ body: `{"n":2}` })
    const response = await stream({ url, live: false })
    const seen = await response.json()
    return {
      seen,
      closed: response.streamClosed,
      atTheEnd: response.offset === finalOffset,
    }
  },

  async "append after close"() {
    const { made } = await create("json")
    await made.close()
    return { refused: await codeOf(made.append(`{"n":1}`)) }
  },

  async "delete"() {
    const { url, made } = await create("text")
    await made.append("gone")
    await (await stream({ url, live: false })).text()
    await made.delete()
    return { refused: await codeOf(stream({ url, live: false })) }
  },

  async "many tails of one stream"() {
    const { url, made } = await create("json")
    await made.append(`{"n":1}`)
    const modes = ["long-poll", "sse", "long-poll", "sse"]
    const readers = await Promise.all(modes.map((live) => stream({ url, live })))
    const gathered = readers.map((reader) => gather("json", reader))
    await Promise.all(gathered.map(({ until }) => until(1)))
    await made.append(`{"n":2}`)
    await Promise.all(gathered.map(({ until }) => until(2)))
    await made.close()
    const closed = Promise.all(readers.map((reader) => reader.closed))
    await soon(closed, () => "the end of a closed stream")
    return { seen: gathered.map(({ seen }) => seen.map(({ n }) => n)) }
  },
}

for (const kind of Object.keys(TYPES)) {
  for (const live of ["long-poll", "sse"]) {
    STORIES[`tail ${kind} by ${live}`] = () => tail(kind, live)
  }
}

for (const live of ["long-poll", "sse"]) {
  STORIES[`lost offset by ${live}`] = () => lost(live)
}

const codeOf = (promise) =>
  promise.then(
    () => null,
    (error) => error.code ?? error.status ?? String(error),
  )

const told = (story) => story().catch((error) => ({ error: error.message }))

const seen = await Promise.all(
  Object.entries(STORIES).map(async ([name, story]) => [name, await told(story)]),
)
// Not console.log and exit: a pipe is written to asynchronously.
process.stdout.write(JSON.stringify(Object.fromEntries(seen)), () => process.exit(0))
