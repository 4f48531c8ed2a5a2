import { defineConfig } from "vitest/config"

// One process, no cache, no watching: the suite is a client of a server elsewhere.
export default defineConfig({
  cacheDir: process.env.CONFORMANCE_CACHE,
  test: { include: ["conformance.test.mjs"], pool: "forks", watch: false },
})
