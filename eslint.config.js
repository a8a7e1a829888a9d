import js from "@eslint/js";
import { defineConfig, globalIgnores } from "eslint/config";
import tseslint from "typescript-eslint";

export default defineConfig(
  globalIgnores(["**/dist/", "**/pkg/", ".cache/", "emulator-core/", "**/node_modules/"]),
  js.configs.recommended,
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      // Addresses, sizes and counters belong in messages as they are.
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/consistent-type-imports": "error",
      // It takes Promise.withResolvers<void>() for a mistake.
      "@typescript-eslint/no-invalid-void-type": "off",
      "max-lines": ["error", { max: 600, skipBlankLines: true, skipComments: true }],
      "max-lines-per-function": ["error", { max: 80, skipBlankLines: true, skipComments: true }],
    },
  },
  {
    // Which artefact is loaded, and where it lies, packages/core alone knows.
    files: ["**/*.ts"],
    ignores: ["packages/core/src/**"],
    rules: { "no-restricted-imports": ["error", { patterns: ["**/pkg/**"] }] },
  },
  {
    // The machine package runs in Node and in browsers: what only one of them has stays in hosts/.
    // So does what reads an image's documents.
    files: ["packages/machine/src/**/*.ts", "packages/container/src/image/format/**/*.ts"],
    ignores: ["packages/machine/src/hosts/**"],
    rules: {
      "no-restricted-imports": ["error", { patterns: ["node:*", "**/pkg/**"] }],
      "no-restricted-globals": ["error", "process", "Buffer", "setImmediate", "document", "window"],
    },
  },
  {
    // A suite's describe() is a list of tests, not one function to take in at a glance.
    files: ["**/*.test.ts", "test/**/*.ts"],
    rules: { "max-lines-per-function": "off" },
  },
  {
    files: ["**/*.mjs", "eslint.config.js"],
    languageOptions: {
      globals: {
        process: "readonly",
        console: "readonly",
        URL: "readonly",
        setTimeout: "readonly",
        clearInterval: "readonly",
        setInterval: "readonly",
      },
    },
  },
);
