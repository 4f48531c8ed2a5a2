// A real browser on the dashboard of an edge, at its admin address.
//
//   node dashboard.mjs '{"chromium": "...", "profile": "/folder", "admin": "http://...",
//                        "token": "...", "path": "/v1/stream/...", "odd": "/v1/stream/...",
//                        "viewers": 6, "pids": [1, 2], "origin": 3, "master": 4,
//                        "shots": "/folder" or null}'
//
// `pids` are stopped for a while, and go on. `master` is told to
// reload, and `origin` is killed at the end. `shots`: where pictures go. Prints one JSON
// object: a story to a key. Judged by tests/client/test_dashboard.py.

import { chromium } from "playwright-core"

const asked = JSON.parse(process.argv[2])
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
]
const DESK = { width: 1120, height: 900 }, PHONE = { width: 390, height: 844 }

const complaints = []
const requests = []

const context = await chromium.launchPersistentContext(asked.profile, {
  executablePath: asked.chromium, args: FLAGS, viewport: DESK, colorScheme: "light",
})
context.setDefaultTimeout(60_000)
context.on("request", (request) => requests.push(request.url()))

const tab = await context.newPage()
tab.on("pageerror", (error) => complaints.push(String(error)))
tab.on("console", (line) => {
  // The browser itself tells there of 401; and of 503, by which a process that ends refuses.
  if (line.type() === "error" && !/status of (401|503)/.test(line.text())) complaints.push(line.text())
})

const state = (is) => tab.waitForSelector(`#state[data-is=${is}]`)
const text = (id) => tab.textContent(`#${id}`)
const becomes = (id, words) => tab.waitForFunction(
  ([one, w]) => document.getElementById(one).textContent.includes(w), [id, words])
const shot = async (name) => {
  if (asked.shots) await tab.screenshot({ path: `${asked.shots}/${name}.png`, fullPage: true })
}

async function enter(token) {
  await tab.fill("#token", token)
  await tab.press("#token", "Enter")
}

async function theToken() {
  await tab.goto(`${asked.admin}/dashboard`)
  await tab.waitForSelector("#enter:not([hidden])")
  const before = { said: await text("state"), figures: await tab.isVisible("#all") }
  const refused = tab.waitForResponse((answer) => answer.status() === 401)
  await enter("wrong")
  await refused
  await tab.waitForSelector("#enter:not([hidden])")
  await enter(asked.token)
  await state("live")
  await tab.reload()
  await state("live")
  const kept = await tab.evaluate(() => [
    sessionStorage.getItem("ds-edge-token"), JSON.stringify(localStorage), document.cookie, location.href])
  return { before, kept, asked: await tab.isVisible("#enter") }
}

async function theCrowd() {
  // Two documents that differ: events were delivered in between.
  await tab.waitForFunction(() => /^[1-9]/.test(document.getElementById("delivered").textContent))
  await tab.waitForFunction(() => /^× [1-9]/.test(document.getElementById("fan").textContent))
  await tab.waitForSelector("#viewers-line path")
  // At a moment when nobody is between two answers; the next second may be another one.
  const found = await tab.waitForFunction((all) => {
    const told = (id) => document.getElementById(id).textContent
    return told("viewers") === all && [told("viewers-sse"), told("viewers-poll")]
  }, String(asked.viewers))
  const [byEvents, byPolls] = await found.jsonValue()
  return {
    byEvents, byPolls, origin: await text("origin"),
    processes: await tab.locator("#processes tr").count(), limits: await tab.locator("#limits [role=meter]").count(),
  }
}

async function theStreams() {
  await tab.waitForSelector(`#rows [data-path="${asked.path}"]`)
  const paths = () => tab.locator("#rows [data-path]").allTextContents()
  const first = (await paths())[0]
  await tab.click("[data-sort=bytes]")
  const sorted = await tab.locator("th[aria-sort] button").allTextContents()
  await tab.keyboard.press("/")
  await tab.keyboard.type("onerror")
  await tab.waitForFunction(() => document.querySelectorAll("#rows tr").length === 1)
  const odd = await paths()
  const markup = await tab.locator("#rows img").count()
  await tab.fill("#contains", "no such path")
  await tab.waitForSelector("#no-rows:not([hidden])")
  const none = await text("no-rows")
  await tab.fill("#contains", "")
  await tab.click("[data-sort=viewers]")
  return { first, sorted, odd, markup, none }
}

// With the keyboard alone.
async function theInside() {
  await tab.waitForSelector(`#rows [data-path="${asked.path}"]`)
  await tab.focus(`#rows [data-path="${asked.path}"]`)
  await tab.keyboard.press("Enter")
  await becomes("stream-told", "follower")
  const told = await text("stream-told"), leads = await tab.getAttribute("#stream-follow", "href")
  await tab.keyboard.press("Escape")
  await tab.waitForSelector("#stream", { state: "hidden" })
  return { path: await text("stream-path"), told, leads }
}

/** On a busy machine one may have been replaced meanwhile, for its silence. */
function goOn(pid) {
  try { process.kill(pid, "SIGCONT") } catch (error) {
    if (error.code !== "ESRCH") throw error
  }
}

// The edge stops, and says nothing; then it goes on.
async function theSilence() {
  for (const pid of asked.pids) process.kill(pid, "SIGSTOP")
  await state("waiting")
  const said = await text("state")
  const old = await tab.getAttribute("#all", "class")
  for (const pid of asked.pids) goOn(pid)
  await state("live")
  return { said, old, after: await tab.getAttribute("#all", "class") }
}

async function theColours() {
  const ground = () => tab.evaluate(() => getComputedStyle(document.body).backgroundColor)
  const light = await ground()
  // The lines of a picture have something to show.
  if (asked.shots) await tab.waitForTimeout(45_000)
  await shot("dashboard-light")
  await tab.emulateMedia({ colorScheme: "dark" })
  const bySystem = await ground()
  await shot("dashboard-dark")
  await tab.click("#theme")
  const chosen = await ground()
  await tab.click("#theme")
  await tab.click("#theme")
  await tab.emulateMedia({ colorScheme: "light" })
  return { light, bySystem, chosen }
}

async function thePhone() {
  await tab.setViewportSize(PHONE)
  const width = await tab.evaluate(() => document.documentElement.scrollWidth)
  await shot("dashboard-phone")
  await tab.setViewportSize(DESK)
  return { width, most: PHONE.width }
}

// The page beside it, served by the admin address too.
async function theFollowPage() {
  const page = await context.newPage()
  page.on("pageerror", (error) => complaints.push(String(error)))
  page.on("console", (line) => {
    if (line.type() === "error") complaints.push(line.text())
  })
  await page.goto(`${asked.admin}/follow#${asked.edge}${asked.path}`)
  await page.waitForSelector("#state[data-is=following]")
  await page.close()
  return true
}

// The edge reads its settings again.
async function theReload() {
  const before = await text("reload")
  process.kill(asked.master, "SIGHUP")
  await becomes("reload", "accepted")
  return { before, after: await text("reload"), facts: await text("reload-facts") }
}

// The origin dies: who looks at the page for the first time sees that, and since when.
async function theOutage() {
  await tab.waitForSelector("#outage[hidden]", { state: "attached" })
  process.kill(asked.origin, "SIGKILL")
  await tab.waitForSelector("#outage:not([hidden])")
  await becomes("outage-since", "since")
  // Figures and reasons are published apart: the reason may come a moment later.
  await becomes("outage-advice", "Reason: origin-")
  return {
    who: await text("outage-who"), reason: await text("outage-advice"),
    viewers: await text("outage-effect"), title: await tab.title(), origin: await text("origin"),
  }
}

const stories = {}
try {
  stories.token = await theToken()
  stories.crowd = await theCrowd()
  stories.streams = await theStreams()
  stories.inside = await theInside()
  stories.colours = await theColours()
  stories.phone = await thePhone()
  stories.silence = await theSilence()
  stories.follow = await theFollowPage()
  stories.reload = await theReload()
  stories.outage = await theOutage()
  stories.requests = requests
  stories.complaints = complaints
} finally {
  await context.close()
}
console.log(JSON.stringify(stories))
