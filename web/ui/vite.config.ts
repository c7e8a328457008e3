import { defineConfig } from "vite";

/** The gateway that `npm run dev` talks to. */
const GATEWAY = "http://127.0.0.1:8080";

export default defineConfig({
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    target: "es2022",
    // A data: URI would be one more source for the CSP to allow.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
  },
  server: { proxy: { "/api": GATEWAY } },
});
