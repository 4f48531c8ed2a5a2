// As many tabs of a real browser as people open, and which of them follow.
//
//   node many_tabs.mjs '{"chromium": "...", "page": "file:///...", "url": "http://...",
//                        "shared": "file:///..."}'
//
// Prints one JSON object: a story to a key. Judged by tests/client/test_many_tabs.py.

import { chromium } from "playwright-core"

const asked = JSON.parse(process.argv[2])
const TABS = 10
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
]

const browser = await chromium.launch({ executablePath: asked.chromium, args: FLAGS })

async function window() {
  const context = await browser.newContext()
  context.setDefaultTimeout(60_000)
  return context
}

async function open(context, page, url) {
  const tab = await context.newPage()
  await tab.goto(`${page}?url=${encodeURIComponent(url)}`)
  return tab
}

const ask = (method, path, body) =>
  fetch(asked.url + path, { method, body, headers: { "Content-Type": "text/plain" } })
const follows = (tab) => tab.waitForSelector("#state[data-is=following]")
const state = (tab) => tab.textContent("#state")
const shows = (tab, words) =>
  tab.waitForFunction((w) => document.getElementById("text").textContent.includes(w), words)

// Six connections to a host: what the seventh tab asks waits in the browser.
async function sixFollow() {
  await ask("PUT", "/v1/stream/six", "first\n")
  const context = await window()
  const tabs = []
  for (let n = 0; n < 6; n++) {
    tabs.push(await open(context, asked.page, `${asked.url}/v1/stream/six`))
    await follows(tabs.at(-1))
  }
  const seventh = await open(context, asked.page, `${asked.url}/v1/stream/six`)
  await tabs[0].fill("#line", "written in the first tab")
  const sent = tabs[0].waitForRequest((request) => request.method() === "POST")
  await tabs[0].press("#line", "Enter")
  await sent
  // From outside the browser an append arrives: no one but the browser holds it up.
  await ask("POST", "/v1/stream/six", "written outside\n")
  for (const tab of tabs) await shows(tab, "written outside")
  const before = {
    states: await Promise.all([...tabs, seventh].map(state)),
    text: await tabs[0].textContent("#text"),
  }
  await tabs[5].close()
  await shows(tabs[0], "written in the first tab")
  await context.close()
  return before
}

// One tab follows for all of them, with the script of the tutorial.
async function oneForAll() {
  await ask("PUT", "/v1/stream/shared", "first\n")
  const context = await window()
  const tabs = []
  for (let n = 0; n < TABS; n++) {
    tabs.push(await open(context, asked.shared, `${asked.url}/v1/stream/shared`))
    await shows(tabs.at(-1), "first")
  }
  await ask("POST", "/v1/stream/shared", "second\n")
  for (const tab of tabs) await shows(tab, "second")
  await tabs.shift().close()
  await ask("POST", "/v1/stream/shared", "third\n")
  for (const tab of tabs) await shows(tab, "third")
  await ask("POST", "/v1/stream/shared", "fourth\n")
  for (const tab of tabs) await shows(tab, "fourth")
  const texts = await Promise.all(tabs.map((tab) => tab.textContent("#text")))
  await context.close()
  return texts
}

const stories = {}
try {
  for (const story of [sixFollow, oneForAll]) stories[story.name] = await story()
} finally {
  await browser.close()
}
console.log(JSON.stringify(stories))
