// Pages of several web origins in a real browser, each asking an edge on another site.
//
//   node pages.mjs '{"chromium": "...", "edge": "https://...", "path": "/...",
//                    "listed": "https://...", "below": "...", "neighbour": "...",
//                    "beside": "...", "elsewhere": "...", "profile": "/folder",
//                    "key": "...", "cookie": "...", "tokens": {"good": "...", ...}}'
//
// Prints one JSON object: a story to a key. Judged by tests/client/test_pages.py.

import { mkdirSync, writeFileSync } from "node:fs"
import { chromium } from "playwright-core"

const asked = JSON.parse(process.argv[2])
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
  "--host-resolver-rules=MAP *.test 127.0.0.1",
  // Trusted, not excused: what comes over a connection with an error is never cached.
  `--ignore-certificate-errors-spki-list=${asked.key}`,
]
const stream = asked.edge + asked.path

// The profile of somebody who lets cookies cross sites: not every browser does.
mkdirSync(`${asked.profile}/Default`, { recursive: true })
writeFileSync(`${asked.profile}/Default/Preferences`, JSON.stringify({
  profile: { cookie_controls_mode: 0, block_third_party_cookies: false },
}))
const context = await chromium.launchPersistentContext(asked.profile, {
  executablePath: asked.chromium, args: FLAGS,
})
context.setDefaultTimeout(60_000)
await context.addCookies([{
  name: "session", value: asked.cookie, domain: new URL(asked.edge).hostname, path: "/",
  secure: true, httpOnly: true, sameSite: "None",
}])

/** A tab on a page of this origin. */
async function tab(origin) {
  const page = await context.newPage()
  await page.goto(`${origin}/`)
  return page
}

/** What a script there may see of an answer; "blocked" if it may see nothing. */
function read(page, url, options = {}) {
  return page.evaluate(async ([url, options]) => {
    try {
      const answer = await fetch(url, options)
      const field = (name) => answer.headers.get(name)
      return {
        type: answer.type, status: answer.status, text: await answer.text(),
        offset: field("stream-next-offset"), challenge: field("www-authenticate"),
        cacheStatus: field("cache-status"),
      }
    } catch (error) {
      return error instanceof TypeError ? "blocked" : String(error)
    }
  }, [url, options])
}

/** The first event of an event stream there; "blocked" if it may see nothing. */
function follow(page, url, withCredentials) {
  return page.evaluate(([url, withCredentials]) => new Promise((tell) => {
    const source = new EventSource(url, { withCredentials })
    const end = (seen) => { source.close(); tell(seen) }
    source.addEventListener("data", (event) => end(event.data))
    source.onerror = () => end("blocked")
  }), [url, withCredentials])
}

const bearer = (token) => ({ headers: { Authorization: `Bearer ${token}` } })
const withToken = (token, rest) => `${stream}?access_token=${token}&${rest}`
const sse = "offset=-1&live=sse"
const include = { credentials: "include" }

async function all(origin) {
  const page = await tab(origin)
  return {
    cookie: await read(page, `${stream}?offset=-1`, include),
    noCookie: await read(page, `${stream}?offset=-1`, { credentials: "omit" }),
    events: await follow(page, `${stream}?${sse}`, true),
    eventsByToken: await follow(page, withToken(asked.tokens.good, sse), false),
    tokenInQuery: await read(page, withToken(asked.tokens.good, "offset=-1")),
    preflight: await read(page, `${stream}?offset=-1`, bearer(asked.tokens.good)),
    expired: await read(page, `${stream}?offset=-1`, bearer(asked.tokens.expired)),
    forbidden: await read(page, `${stream}?offset=-1`, bearer(asked.tokens.forbidden)),
    embedded: await read(page, `${stream}?offset=-1`, { ...include, mode: "no-cors" }),
  }
}

// Each page appends its own name, by the cookie that its browser has.
async function writes(origin) {
  const page = await tab(origin)
  const body = new URL(origin).hostname
  const post = { ...include, method: "POST", headers: { "Content-Type": "text/plain" }, body }
  return {
    seen: await read(page, `${stream}-written`, post),
    blind: await read(page, `${stream}-written`, { ...post, mode: "no-cors" }),
    preflighted: await read(page, `${stream}-written`, { ...post, headers: {
      "Content-Type": "text/plain", "Stream-Seq": String(Date.now()) } }),
  }
}

// A page in a sandbox has the origin null, whatever is around it.
async function sandboxed() {
  const page = await tab(asked.listed)
  await page.setContent('<iframe sandbox="allow-scripts" srcdoc="<p>"></iframe>')
  const frame = await (await page.waitForSelector("iframe")).contentFrame()
  return { origin: await frame.evaluate(() => origin), seen: await read(frame, `${stream}?offset=-1`, include) }
}

// One browser, one cache: pages of one site share it.
async function shareOneCache() {
  const told = []
  for (const origin of [asked.listed, asked.below, asked.beside, asked.listed]) {
    const page = await tab(origin)
    const options = { ...include, cache: "force-cache" }
    told.push(await read(page, `${stream}-closed?offset=-1`, options))
  }
  return told
}

const stories = {}
try {
  for (const name of ["listed", "below", "neighbour", "beside", "elsewhere"]) {
    stories[name] = await all(asked[name])
    stories[name].writes = await writes(asked[name])
  }
  stories.sandboxed = await sandboxed()
  stories.shareOneCache = await shareOneCache()
} finally {
  await context.close()
}
console.log(JSON.stringify(stories))
