// SPDX-License-Identifier: Apache-2.0
import { defineConfig } from "vite";

// Every address is relative to <base>: the server writes its route prefix there.
export default defineConfig({
  base: "./",
  esbuild: { jsx: "automatic", jsxImportSource: "preact", legalComments: "none" },
  build: {
    target: "es2022",
    outDir: "dist",
    assetsDir: "assets",
    assetsInlineLimit: 0, // the policy of the server allows no data: addresses
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    manifest: "manifest.json",
    rollupOptions: {
      output: {
        manualChunks(id) {
          if (id.includes("node_modules/preact") || id.includes("@preact/")) return "preact";
          if (id.includes("node_modules/uplot")) return "uplot";
          if (/node_modules\/(@codemirror|@lezer|@prometheus-io|style-mod|crelt|w3c-keyname|@marijn)/.test(id)) return "editor";
          return undefined;
        },
      },
    },
  },
  server: {
    proxy: Object.fromEntries(
      ["/api", "/-", "/metrics"].map((p) => [p, process.env["VIGIE"] ?? "http://127.0.0.1:9090"]),
    ),
  },
  test: { include: ["test/**/*.test.ts", "e2e/**/*.test.ts"], testTimeout: 60000, hookTimeout: 60000 },
} as Parameters<typeof defineConfig>[0]);
