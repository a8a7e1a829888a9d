/** Four kinds of test: of parts, of guests that really boot, of containers, and of the page in a real browser. */

import { defineConfig } from "vitest/config";

const SECOND = 1_000;

export default defineConfig({
  test: {
    projects: [
      { test: { name: "unit", root: import.meta.dirname, include: ["unit/**/*.test.ts"], testTimeout: 10 * SECOND } },
      {
        test: {
          name: "guest",
          root: import.meta.dirname,
          include: ["guest/**/*.test.ts"],
          // A guest keeps a core busy: two at a time on a small machine would time each other out.
          fileParallelism: false,
          // All files share the modules, and with them the guest that is booted once.
          isolate: false,
          testTimeout: 300 * SECOND,
          hookTimeout: 300 * SECOND,
        },
      },
      {
        test: {
          name: "container",
          root: import.meta.dirname,
          include: ["container/**/*.test.ts"],
          fileParallelism: false,
          testTimeout: 60 * SECOND,
          hookTimeout: 60 * SECOND,
        },
      },
      {
        test: {
          name: "web",
          root: import.meta.dirname,
          include: ["web/**/*.test.ts"],
          fileParallelism: false,
          testTimeout: 300 * SECOND,
          hookTimeout: 60 * SECOND,
        },
      },
    ],
  },
});
