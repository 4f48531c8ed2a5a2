// Dashboards of several edges, open in one real browser while somebody plays an outage.
//
//   node outage.mjs '{"chromium": "...", "profile": "/folder", "size": [1120, 760],
//                     "pages": {"pop-east": "http://.../dashboard"}}'
//
// Takes orders, one JSON object a line: {"page": "pop-east", "says": "away"} waits until
// its headline is that of an outage (or "calm"), and answers with all that it says;
// {"page": "pop-east", "scheme": "dark", "to": "/file.png"} takes a picture. Answers each
// with a line; ends with its standard input. Ordered by tests/deploy/outage.py.

import readline from "node:readline"
import { chromium } from "playwright-core"

const asked = JSON.parse(process.argv[2])
const [width, height] = asked.size
const context = await chromium.launchPersistentContext(asked.profile, {
  executablePath: asked.chromium,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  viewport: { width, height }, colorScheme: "light",
})
context.setDefaultTimeout(60_000)

const tabs = {}
for (const [name, url] of Object.entries(asked.pages)) {
  tabs[name] = await context.newPage()
  await tabs[name].goto(url)
  await tabs[name].waitForSelector("#state[data-is=live]")
}

async function obey({ page, says, scheme, to }) {
  const tab = tabs[page]
  await tab.bringToFront()
  if (says !== undefined) {
    await tab.waitForSelector(`#outage${says === "away" ? ":not([hidden])" : "[hidden]"}`, { state: "attached" })
    return tab.innerText("#outage")
  }
  await tab.emulateMedia({ colorScheme: scheme })
  await tab.waitForTimeout(2500) // /streams is read every two seconds.
  await tab.screenshot({ path: to })
  return null
}

console.log(JSON.stringify("open"))
try {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await obey(JSON.parse(line))))
  }
} finally {
  await context.close()
}
