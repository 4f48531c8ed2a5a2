// The Yjs server, and people who edit one document together.
//
//   node yjs.mjs '{"longPollTimeout": 500}'
//   node yjs.mjs '{"url": "http://...", "log": "http://...", "moves": 100, "words": 20}'
//
// With an address they edit there. Without one it is the server, which keeps its streams
// in the official reference server; its options are that one's. A document is at
// /v1/yjs/SERVICE/docs/NAME, and who is there just now is another stream at the same
// path, ?awareness=default. One JSON line says where it listens, and where it tells which
// requests it had: [["GET", "/v1/yjs/..."], ...]. It ends with SIGTERM, or when its
// standard input ends.
//
// The people print one JSON object, a story to a key: tests/client/test_yjs_server.py
// judges it.

import { subscribe } from "node:diagnostics_channel"
import { createServer } from "node:http"

import { DurableStreamTestServer } from "@durable-streams/server"
import { YjsProvider } from "@durable-streams/y-durable-streams"
import { YjsServer } from "@durable-streams/y-durable-streams/server"
import * as decoding from "lib0/decoding"
import { Awareness } from "y-protocols/awareness"
import * as Y from "yjs"

// Standard output carries the results alone.
console.log = console.info = console.error

const PATIENCE_MS = 60_000
const VIEWERS = 5

// The server.

async function serve(options) {
  const end = () => process.exit(0)
  process.once("SIGTERM", end)
  process.stdin.once("end", end).resume()

  const streams = new DurableStreamTestServer({ host: "127.0.0.1", port: 0, ...options })
  const server = new YjsServer({ dsServerUrl: await streams.start() })
  const url = await server.start()
  const counts = await tellRequests(new URL(url).port)
  process.stdout.write(`${JSON.stringify({ url, counts })}\n`)
}

/** An address that tells the requests which came to this port. */
function tellRequests(port) {
  const requests = []
  subscribe("http.server.request.start", ({ request }) => {
    if (String(request.socket.localPort) !== port) return
    requests.push([request.method, request.url])
  })
  const teller = createServer((_, answer) => answer.end(JSON.stringify(requests)))
  return new Promise((told) => {
    teller.listen(0, "127.0.0.1", () =>
      told(`http://127.0.0.1:${teller.address().port}/`)
    )
  })
}

// The people.

/** Who edits a document by `liveMode`: joined, and in step with the server. */
async function join(asked, name, liveMode) {
  const doc = new Y.Doc()
  const awareness = new Awareness(doc)
  const baseUrl = `${asked.url}/v1/yjs/tests`
  const provider = new YjsProvider({ doc, baseUrl, docId: name, awareness, liveMode, connect: false })
  const person = { doc, awareness, provider, text: doc.getText("text"), errors: [] }
  provider.on("error", (error) => person.errors.push(String(error)))
  provider.connect()
  await until(provider, "synced", () => provider.synced, `${name} to be in step`)
  return person
}

/** Resolves when `holds` does: asked at once, and at each event. */
function until(emitter, event, holds, what) {
  if (holds()) return Promise.resolve()
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`waited for ${what}`)), PATIENCE_MS)
    const look = () => {
      if (!holds()) return
      clearTimeout(late)
      emitter.off(event, look)
      resolve()
    }
    emitter.on(event, look)
  })
}

const reads = (person, text) =>
  until(person.doc, "update", () => person.text.toString() === text, `the text ${text}`)

/** Until `person` knows that `other` is at `place`. */
function sees(person, other, place) {
  const at = () => person.awareness.getStates().get(other.doc.clientID)?.place === place
  return until(person.awareness, "change", at, `place ${place}`)
}

const part = (...people) => Promise.all(people.map((one) => one.provider.disconnect()))

/** Two people type in turns; one who comes later reads it all. */
async function typing(asked, liveMode) {
  const name = `typing-${liveMode}`
  const one = await join(asked, name, liveMode)
  const two = await join(asked, name, liveMode)
  one.text.insert(0, "Hello")
  await reads(two, "Hello")
  two.text.insert(5, ", you")
  await reads(one, "Hello, you")
  const late = await join(asked, name, liveMode)
  await reads(late, "Hello, you")
  const people = [one, two, late]
  await part(...people)
  return { texts: people.map((each) => each.text.toString()), errors: people.flatMap((each) => each.errors) }
}

/** A read of the document's end, by somebody who has it all: was it a hit, with the claim? */
async function readEnd(url, end) {
  const answer = await fetch(`${url}?offset=${end}`)
  const body = await answer.arrayBuffer()
  const told = answer.headers.get("cache-status") ?? ""
  const claims = answer.headers.get("stream-up-to-date") === "true"
  return answer.status === 200 && body.byteLength === 0 && claims && told.includes("; hit")
}

/** The document's text, as anybody reads it from its address. */
async function readText(url) {
  const doc = new Y.Doc()
  const bytes = new Uint8Array(await (await fetch(`${url}?offset=-1`)).arrayBuffer())
  const frames = decoding.createDecoder(bytes)
  while (decoding.hasContent(frames)) Y.applyUpdate(doc, decoding.readVarUint8Array(frames))
  return doc.getText("text").toString()
}

/** The requests at the server, since so many. */
async function requests(asked, since = 0) {
  return (await (await fetch(asked.log)).json()).slice(since)
}

/** One moves about while others are in the document, and readers ask for its end. */
async function presence(asked) {
  const name = "presence"
  const url = `${asked.url}/v1/yjs/tests/docs/${name}`
  const mover = await join(asked, name, "sse")
  const modes = Array.from({ length: VIEWERS }, (_, at) => (at % 2 ? "sse" : "long-poll"))
  const viewers = await Promise.all(modes.map((mode) => join(asked, name, mode)))
  mover.text.insert(0, "before")
  for (const viewer of viewers) await reads(viewer, "before")
  const end = (await fetch(`${url}?offset=-1`)).headers.get("stream-next-offset")

  const move = async (place) => {
    mover.awareness.setLocalStateField("place", place)
    for (const viewer of viewers) await sees(viewer, mover, place)
  }
  // The first moves cost reads: until one has shown that the document stands still.
  let first = 0
  do await move((first += 1))
  while (!(await readEnd(url, end)) && first < asked.moves)

  const before = (await requests(asked)).length
  let hits = 0
  for (let at = 1; at <= asked.moves; at += 1) {
    await move(first + at)
    hits += await readEnd(url, end)
  }
  const meanwhile = await requests(asked, before)

  // Who types meanwhile reads it back, as soon as it is acknowledged.
  const readBack = []
  for (let at = 1; at <= asked.words; at += 1) {
    mover.awareness.setLocalStateField("place", -at)
    mover.text.insert(mover.text.length, ` ${at}`)
    await mover.provider.flush()
    readBack.push((await readText(url)) === mover.text.toString())
  }
  for (const viewer of viewers) await reads(viewer, mover.text.toString())
  const people = [mover, ...viewers]
  await part(...people)
  const errors = people.flatMap((each) => each.errors)
  return { hits, meanwhile, readBack, errors }
}

async function edit(asked) {
  const stories = {
    "typing by sse": await typing(asked, "sse"),
    "typing by long-poll": await typing(asked, "long-poll"),
    presence: await presence(asked),
  }
  // Awareness keeps a timer of its own.
  process.stdout.write(JSON.stringify(stories), () => process.exit(0))
}

const asked = JSON.parse(process.argv[2] ?? "{}")
await (asked.url ? edit(asked) : serve(asked))
