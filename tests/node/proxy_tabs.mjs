// Twenty tabs of a real browser on docs/follow.html, behind servers that speak HTTP/2.
//
//   node proxy_tabs.mjs '{"chromium": "...", "page": "file:///...", "tabs": 20,
//                         "proxies": {"nginx": "https://localhost:...", ...},
//                         "http3": "https://localhost:...", "key": "..."}'
//
// ``key`` is the digest of the key that HTTP/3 is trusted with. Prints one JSON object: a
// story to a proxy, and one for HTTP/3. Judged by tests/deploy/test_tabs.py.

import { chromium } from "playwright-core"

const asked = JSON.parse(process.argv[2])
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--renderer-process-limit=2",
]
const LINES = ["one", "two", "three"]

const follows = (tab) => tab.waitForSelector("#state[data-is=following]")
const shows = (tab, words) =>
  tab.waitForFunction((w) => document.getElementById("text").textContent.includes(w), words)

// As many tabs on the page, which do not follow anything yet.
async function opened(browser, count) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true })
  context.setDefaultTimeout(60_000)
  const tabs = []
  for (let n = 0; n < count; n++) {
    const tab = await context.newPage()
    await tab.goto(`${asked.page}#none`)
    const network = await context.newCDPSession(tab)
    await network.send("Network.enable")
    tabs.push({ tab, network })
  }
  return tabs
}

// The tabs follow one stream and write to it in turns: what they show, and the
// connections and protocols by which they follow.
async function together(opened, url) {
  const connections = new Set(), protocols = new Set()
  for (const [n, { tab, network }] of opened.entries()) {
    network.removeAllListeners("Network.responseReceived")
    network.on("Network.responseReceived", ({ response }) => {
      if (!response.url.startsWith(url) || !response.url.includes("live=sse")) return
      connections.add(response.connectionId)
      protocols.add(response.protocol)
    })
    await tab.evaluate((address) => {
      document.getElementById("url").value = address
      document.getElementById("where").requestSubmit()
    }, url)
    if (!n) await tab.click("#create")
    await follows(tab)
  }
  const tabs = opened.map(({ tab }) => tab)
  for (const [n, line] of LINES.entries()) {
    await tabs[n % tabs.length].fill("#line", line)
    await tabs[n % tabs.length].press("#line", "Enter")
    for (const tab of tabs) await shows(tab, line)
  }
  const texts = await Promise.all(tabs.map((tab) => tab.textContent("#text")))
  return { texts, connections: connections.size, protocols: [...protocols] }
}

async function launched(flags, work) {
  const options = { executablePath: asked.chromium, args: [...FLAGS, ...flags] }
  const browser = await chromium.launch(options)
  try {
    return await work(browser)
  } finally {
    await browser.close()
  }
}

const stories = await launched(["--disable-quic"], async (browser) => {
  const tabs = await opened(browser, asked.tabs)
  const told = {}
  for (const [name, url] of Object.entries(asked.proxies)) {
    told[name] = await together(tabs, `${url}/v1/stream/${name}-tabs`)
  }
  return told
})
if (asked.http3) {
  const flags = [
    "--enable-quic", `--origin-to-force-quic-on=${new URL(asked.http3).host}`,
    `--ignore-certificate-errors-spki-list=${asked.key}`,
  ]
  stories.http3 = await launched(flags, async (browser) =>
    together(await opened(browser, 2), `${asked.http3}/v1/stream/http3-tabs`))
}
console.log(JSON.stringify(stories))
