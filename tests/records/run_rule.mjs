// node run_rule.mjs RULE.js CASES.json: the reasons that the page's rule gives, by the name of the case;
// once with null for what does not exist, once with NaN.

import { readFileSync } from "node:fs";

const [rule, table] = process.argv.slice(2).map((path) => readFileSync(path, "utf8"));
const { reasonOf } = await import(`data:text/javascript,${encodeURIComponent(rule)}`);

const camel = (name) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());

function renamed(values, missing) {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [camel(name), value ?? missing]));
}

const reasons = (missing) =>
  Object.fromEntries(
    JSON.parse(table).map(({ name, standing, limits }) => [name, reasonOf(renamed(standing, missing), renamed(limits, missing))]),
  );

console.log(JSON.stringify({ null: reasons(null), NaN: reasons(NaN) }));
