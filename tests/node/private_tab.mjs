// Tabs of two profiles of a real browser on docs/follow.html, and a private stream.
//
//   node private_tab.mjs '{"chromium": "...", "page": "http://...", "profiles": "/folder",
//                          "url": "http://...", "token": "...", "link": "...",
//                          "wrong": "...", "expired": "...", "secret": "..."}'
//
// Prints one JSON object: a story to a key. Judged by tests/client/test_private_tab.py.

import { createHmac } from "node:crypto"
import { chromium } from "playwright-core"

const asked = JSON.parse(process.argv[2])
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
]

const complaints = []
const requests = []

async function profile(name) {
  const context = await chromium.launchPersistentContext(`${asked.profiles}/${name}`, {
    executablePath: asked.chromium, args: FLAGS,
  })
  context.setDefaultTimeout(60_000)
  context.on("request", (request) => {
    if (request.method() === "OPTIONS") return
    requests.push(request.allHeaders().then((headers) => (
      { url: request.url(), referer: headers.referer ?? null })))
  })
  return context
}

async function open(context, url) {
  const tab = await context.newPage()
  tab.on("pageerror", (error) => complaints.push(String(error)))
  await tab.goto(`${asked.page}#${url}`)
  return tab
}

const state = (tab, is) => tab.waitForSelector(`#state[data-is=${is}]`)
const said = (tab) => tab.textContent("#state")
const seen = (tab) => tab.textContent("#text")
const shows = (tab, words) => tab.waitForFunction(
  (w) => document.getElementById("text").textContent.includes(w), words)

async function write(tab, words) {
  await tab.fill("#line", words)
  await tab.press("#line", "Enter")
}

async function refused(context, url) {
  const tab = await open(context, url)
  await state(tab, "error")
  return await said(tab)
}

const mine = await profile("mine")
const theirs = await profile("theirs")

// The writer has a token, the reader a link, in a browser that knows nothing else.
async function linkAndToken() {
  const reader = await open(theirs, asked.link)
  await state(reader, "following")
  await shows(reader, "Dear diary,")
  const writer = await open(mine, asked.url)
  await state(writer, "error")
  const before = await said(writer)
  await writer.fill("#token", asked.token)
  await writer.press("#token", "Enter")
  await state(writer, "following")
  await write(writer, "today I kept a secret.")
  await shows(reader, "today I kept a secret.")
  await write(reader, "who are you?")
  await state(reader, "error")
  const notAppended = await said(reader)
  await reader.reload()
  await shows(reader, "today I kept a secret.")
  const kept = () => [localStorage.length, sessionStorage.length, document.cookie]
  const stored = await writer.evaluate(kept)
  await writer.reload()
  await state(writer, "error")
  return {
    before, notAppended, stored, texts: [await seen(reader)],
    after: await said(writer), field: await writer.inputValue("#token"),
    address: writer.url(),
  }
}

// A link that holds for so long from now, by the rule of docs/access.md.
function link(seconds) {
  const { origin, pathname } = new URL(asked.url)
  const ends = String(Math.floor(Date.now() / 1000) + seconds)
  const parts = ["ds1", "k1", pathname, "", ends].map((part) => `${part.length}:${part}`)
  const signature = createHmac("sha256", asked.secret).update(parts.join("")).digest("base64url")
  return `${origin}${pathname}?ds_key=k1&ds_exp=${ends}&ds_sig=${signature}`
}

// Followed until its time is over; what was shown stays.
async function linkThatEnds() {
  const tab = await open(theirs, link(8))
  await shows(tab, "Dear diary,")
  await state(tab, "error")
  return { said: await said(tab), text: await seen(tab) }
}

const stories = {}
try {
  stories.linkAndToken = await linkAndToken()
  stories.wrong = await refused(theirs, asked.wrong)
  stories.expired = await refused(theirs, asked.expired)
  stories.linkThatEnds = await linkThatEnds()
  stories.requests = await Promise.all(requests)
  stories.complaints = complaints
} finally {
  await mine.close()
  await theirs.close()
}
console.log(JSON.stringify(stories))
