// The official conformance suite against the server at CONFORMANCE_URL.
//
// The suite's own command line finds no tests under vitest 4, which ignores what
// lies in node_modules; a test file of one's own that calls it is found.

import { runConformanceTests } from "@durable-streams/server-conformance-tests"

runConformanceTests({
  baseUrl: process.env.CONFORMANCE_URL,
  longPollTimeoutMs: Number(process.env.CONFORMANCE_LONG_POLL_MS),
  subscriptions: true,
})
