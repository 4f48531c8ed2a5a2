// A page of an app, in a real browser that has logged in there, follows by a script.
//
//   echo '{"chromium": "...", "login": "http://.../login/", "script": "..."}' |
//     node session_tab.mjs
//
// Prints what alice and bob saw first: what the script logs, or "refused" where the
// EventSource `events` of the script ends. Judged by tests/whole/test_recipes.py.

import { readFileSync } from "node:fs"
import { chromium } from "playwright-core"

const asked = JSON.parse(readFileSync(0, "utf8"))
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
const browser = await chromium.launch({ executablePath: asked.chromium, args: FLAGS })

async function first(name) {
  const context = await browser.newContext()
  context.setDefaultTimeout(60_000)
  const tab = await context.newPage()
  await tab.goto(asked.login + name)
  const logged = tab.waitForEvent("console", (message) => message.type() === "log")
  const refused = 'events.onerror = () => events.readyState === 2 && console.log("refused")'
  await tab.addScriptTag({ content: `${asked.script}\n${refused}` })
  return (await logged).text()
}

try {
  console.log(JSON.stringify({ alice: await first("alice"), bob: await first("bob") }))
} finally {
  await browser.close()
}
