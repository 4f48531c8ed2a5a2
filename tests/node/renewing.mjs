// A reader that lives longer than its first token, with the official client.
//
//   node renewing.mjs URL MODE FIRST SECOND
//
// Appends and reads at URL. Requests of the first two seconds carry the token FIRST, later
// ones SECOND; writes carry SECOND. Prints what was seen, and the statuses of live reads.

import { DurableStream, stream } from "@durable-streams/client"

const [url, live, first, second] = process.argv.slice(2)
const begun = Date.now()
const PATIENCE_MS = 60_000

const bearer = (token) => `Bearer ${token}`
const renewed = () => bearer(Date.now() - begun < 2_000 ? first : second)
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds))

const statuses = []
const spy = async (input, init) => {
  const answer = await fetch(input, init)
  const asked = new URL(input)
  if (asked.searchParams.get("live")) {
    const who = new Headers(init.headers).get("authorization") === bearer(first)
    statuses.push([answer.status, who ? "first" : "second"])
  }
  return answer
}

const writer = await DurableStream.create({
  url,
  contentType: "application/json",
  headers: { Authorization: bearer(second) },
})
const seen = []
const response = await stream({
  url,
  live,
  offset: "-1",
  fetch: spy,
  headers: { Authorization: renewed },
})
response.subscribeJson((batch) => seen.push(...batch.items))
for (let number = 0; number < 18; number++) {
  await writer.append(JSON.stringify({ number }))
  await pause(400)
}
await writer.close()
const late = pause(PATIENCE_MS).then(() => "late")
const how = await Promise.race([response.closed.then(() => "closed"), late])
console.log(JSON.stringify({ seen, how, statuses }))
process.exit(0)
