import { defineConfig } from "vitest/config"

// One process, no cache, no watching: the suite is a client of a server elsewhere.
// A test may take long on a busy machine; what must come in time, it says itself.
export default defineConfig({
  cacheDir: process.env.CONFORMANCE_CACHE,
  test: {
    include: ["conformance.test.mjs"],
    pool: "forks",
    watch: false,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
})
