// Two tabs of a real browser on docs/follow.html, and what they saw.
//
//   node tabs.mjs '{"chromium": "...", "page": "file:///...", "url": "http://...",
//                   "other": "http://...", "shots": "/folder"}'
//
// Prints one JSON object: a story to a key. Judged by tests/client/test_tabs.py.

import { chromium } from "playwright-core"

const asked = JSON.parse(process.argv[2])
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
]

const browser = await chromium.launch({ executablePath: asked.chromium, args: FLAGS })
const context = await browser.newContext({ viewport: { width: 760, height: 560 } })
context.setDefaultTimeout(60_000)

const complaints = []

async function open(stream, page = asked.page) {
  const tab = await context.newPage()
  tab.on("pageerror", (error) => complaints.push(String(error)))
  await tab.goto(`${page}?url=${encodeURIComponent(asked.url + stream)}`)
  return tab
}

const state = (tab, is) => tab.waitForSelector(`#state[data-is=${is}]`)
const seen = (tab) => tab.textContent("#text")
const offset = (tab) => tab.textContent("#offset")

async function shows(tab, words) {
  await tab.waitForFunction((w) => document.getElementById("text").textContent.includes(w), words)
}

async function write(tab, words) {
  await tab.fill("#line", words)
  await tab.press("#line", "Enter")
}

async function ask(method, stream, body, type = "text/plain", extra = {}) {
  const headers = { "Content-Type": type, ...extra }
  return (await fetch(asked.url + stream, { method, headers, body })).status
}

async function twoTabs() {
  const one = await open("/v1/stream/demo")
  await one.click("#create")
  await state(one, "following")
  const two = await open("/v1/stream/demo")
  await state(two, "following")
  await write(one, "Hello from the first tab.")
  await shows(two, "Hello from the first tab.")
  await write(two, "Hello back from the second.")
  await shows(one, "Hello back from the second.")
  await shows(two, "Hello back from the second.")
  await one.screenshot({ path: `${asked.shots}/one.png` })
  await two.screenshot({ path: `${asked.shots}/two.png` })
  const late = await open("/v1/stream/demo")
  await shows(late, "Hello back from the second.")
  return {
    texts: [await seen(one), await seen(two), await seen(late)],
    offsets: [await offset(one), await offset(two), await offset(late)],
    left: await two.inputValue("#line"),
  }
}

// The edge ends each connection after a second here; the page comes back.
async function reconnects() {
  await ask("PUT", "/v1/stream/long")
  const tab = await open("/v1/stream/long")
  await state(tab, "following")
  let connections = 0
  tab.on("request", (request) => { connections += request.url().includes("live=sse") ? 1 : 0 })
  const sent = []
  while (connections < 3) {
    sent.push(`line ${sent.length}`)
    await ask("POST", "/v1/stream/long", `${sent.at(-1)}\n`)
    await shows(tab, sent.at(-1))
  }
  return { sent, seen: (await seen(tab)).trimEnd().split("\n") }
}

async function jsonStream() {
  await ask("PUT", "/v1/stream/json", "", "application/json")
  await ask("POST", "/v1/stream/json", JSON.stringify([{ n: 1 }, { n: 2 }]), "application/json")
  const tab = await open("/v1/stream/json")
  await shows(tab, '{"n":2}')
  await write(tab, "three")
  await shows(tab, '"three"')
  return await seen(tab)
}

async function bytes() {
  await ask("PUT", "/v1/stream/bytes", new Uint8Array([0, 255, 10]), "application/octet-stream")
  const tab = await open("/v1/stream/bytes")
  await shows(tab, "[3 bytes]")
  return await seen(tab)
}

async function closes() {
  await ask("PUT", "/v1/stream/closing", "last words")
  const tab = await open("/v1/stream/closing")
  await shows(tab, "last words")
  await ask("POST", "/v1/stream/closing", "", "text/plain", { "Stream-Closed": "true" })
  await state(tab, "closed")
  return await seen(tab)
}

async function deletes() {
  await ask("PUT", "/v1/stream/doomed", "here")
  const tab = await open("/v1/stream/doomed")
  await shows(tab, "here")
  await ask("DELETE", "/v1/stream/doomed")
  await state(tab, "error")
  return await tab.textContent("#state")
}

async function fromAnotherSite() {
  const tab = await open("/v1/stream/demo", asked.other)
  await state(tab, "following")
  await write(tab, "From another site.")
  await shows(tab, "From another site.")
  return new URL(tab.url()).origin !== new URL(asked.url).origin
}

const stories = {}
try {
  for (const story of [twoTabs, reconnects, jsonStream, bytes, closes, deletes, fromAnotherSite]) {
    stories[story.name] = await story()
    for (const tab of context.pages()) await tab.close()
  }
  stories.complaints = complaints
} finally {
  await browser.close()
}
console.log(JSON.stringify(stories))
