// Checks the types, then bundles app.ts and app.css into ../static/dist; prints what the browser will load, compressed.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const COMPRESSED_BYTES_MAX = 120_000; // of the 150 kB of a first page; the rest is for HTML and the first data

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, "..", "static", "dist");
const tsc = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin", "tsc");

const types = spawnSync(process.execPath, [tsc, "--project", join(here, "tsconfig.json")], { stdio: "inherit" });
if (types.status !== 0) process.exit(types.status ?? 1);

await build({
  entryPoints: [join(here, "app.ts"), join(here, "app.css")],
  outdir: out,
  bundle: true,
  minify: true,
  sourcemap: false,
  legalComments: "none",
  format: "iife",
  target: ["es2022", "chrome109", "firefox115", "safari16.4"],
  logLevel: "warning",
});

let total = 0;
for (const name of ["app.js", "app.css"]) {
  const bytes = gzipSync(readFileSync(join(out, name))).length;
  total += bytes;
  console.log(`${name}: ${bytes} bytes compressed`);
}
if (total > COMPRESSED_BYTES_MAX) {
  console.error(`the page's files are ${total} bytes compressed, more than ${COMPRESSED_BYTES_MAX}`);
  process.exit(1);
}
