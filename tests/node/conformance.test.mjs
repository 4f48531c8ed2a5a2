// The official conformance suite against the server at CONFORMANCE_URL.
//
// The suite's own command line finds no tests under vitest 4, which ignores what
// lies in node_modules; a test file of one's own that calls it is found.

import { runConformanceTests } from "@durable-streams/server-conformance-tests"

const token = process.env.CONFORMANCE_TOKEN
if (token) {
  // A server that lets in by tokens: every request without one carries this.
  const plain = globalThis.fetch
  globalThis.fetch = (input, init = {}) => {
    const given = input instanceof Request ? input.headers : undefined
    const headers = new Headers(init.headers ?? given)
    if (!headers.has("authorization")) headers.set("authorization", `Bearer ${token}`)
    return plain(input, { ...init, headers })
  }
}

runConformanceTests({
  baseUrl: process.env.CONFORMANCE_URL,
  // By this the suite bounds its tests that wait for a poll, and does nothing else. What
  // a poll takes by itself, the server says, much less; a busy machine may take longer.
  longPollTimeoutMs: 60_000,
  subscriptions: true,
})
