import js from "@eslint/js";
import globals from "globals";

// Modules that decide and know no page
const PURE = ["searchdet/report/assets/image.js", "searchdet/report/assets/rule.js"];

export default [
  { ignores: ["**/.*/", "build/", "dist/", "demo/", "site/"] },
  js.configs.recommended,
  {
    rules: {
      "no-undef": "error",
      "no-unused-vars": "error",
      "no-duplicate-imports": "off", // a long list of names may take two lines: report/script.py joins whole lines
      "no-var": "error",
      "prefer-const": "error",
      eqeqeq: "error",
    },
  },
  { files: ["searchdet/{report,serve}/assets/*.js"], ignores: PURE, languageOptions: { globals: globals.browser } },
  { files: ["tests/**/*.mjs"], languageOptions: { globals: globals.node } },
];
