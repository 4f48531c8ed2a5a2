// The official reference server on a port of the kernel's choice, in memory.
//
//   node origin.mjs '{"port": 0, "longPollTimeout": 500, "webhooks": true}'
//
// The argument is handed to the server as its options, except `callbacksAt`: the
// public address that webhooks are to call back; and `counts`: whether reads are
// counted, and told at an address of their own. One JSON line on standard output says
// where the server listens and where it tells its counts. It ends with SIGTERM or
// SIGINT, or when its standard input ends: an origin never outlives the test that
// started it.

import { subscribe } from "node:diagnostics_channel"
import { createServer } from "node:http"

import { DurableStreamTestServer } from "@durable-streams/server"

// Standard output carries the address alone; what the server logs goes beside it.
const announce = console.log
console.log = console.info = console.error

const { callbacksAt, counts, ...options } = JSON.parse(process.argv[2] ?? "{}")
const server = new DurableStreamTestServer({ host: "127.0.0.1", port: 0, ...options })

// Parked long-polls and idle keep-alive connections would hold a polite close.
const end = () => process.exit(0)
process.once("SIGTERM", end)
process.once("SIGINT", end)
process.stdin.once("end", end).resume()

const url = await server.start()

// A webhook goes straight from the origin to its receiver, signed, so no edge can put
// its own address into it; an origin behind an edge has to know that address. This one
// has no setting for it. Only webhooks are told: what the server says of itself in
// answers is left for the edge to rewrite.
if (callbacksAt) {
  const manager = server.subscriptionManager
  const mint = manager.subscriptionActionUrl
  manager.subscriptionActionUrl = (...about) =>
    mint.call({ callbackBaseUrl: callbacksAt }, ...about)
}

// Reads of each stream by how many appends came before them: {"/v1/stream/a": [2, 1]}.
// Before its first append this stream was read twice, and once after it. Those who hold
// the stream when it is deleted ask once more in vain, and count for nobody.
const countReads = () =>
  new Promise((told) => {
    const reads = {}
    const gone = new Set()
    const counter = createServer((_, answer) => answer.end(JSON.stringify(reads)))
    subscribe("http.server.request.start", ({ request, server }) => {
      const path = request.url.split("?")[0]
      if (server === counter || gone.has(path)) return
      const counted = (reads[path] ??= [0])
      if (request.method === "GET") counted[counted.length - 1] += 1
      if (request.method === "POST") counted.push(0)
      if (request.method === "DELETE") gone.add(path)
    })
    counter.listen(0, "127.0.0.1", () =>
      told(`http://127.0.0.1:${counter.address().port}/`)
    )
  })

announce(JSON.stringify({ url, counts: counts ? await countReads() : null }))
