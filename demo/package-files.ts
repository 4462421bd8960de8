/** The files of a package as a table, with the hashes by which the manifest pins them. */
import type { FileReference, Manifest } from "../runtime/format/manifest.ts";
import { element } from "./element.ts";
import { bytesText } from "./quantity.ts";

interface Row {
  readonly role: string;
  readonly bytes: number;
  readonly hash: string;
}

function rowsOf(manifest: Manifest, files: ReadonlyMap<string, Uint8Array>): readonly Row[] {
  const row = (role: string, { bytes, sha256 }: FileReference): Row => ({ role, bytes, hash: sha256 });
  return [
    { role: "manifest.json", bytes: files.get("manifest.json")?.byteLength ?? 0, hash: "" },
    row("program", manifest.program),
    ...manifest.modules.map((module) => row(`module ${module.variant}`, module)),
    ...(manifest.threads === undefined ? [] : [row("threads", manifest.threads)]),
    ...(manifest.shaders === undefined ? [] : [row("shaders", manifest.shaders)]),
    ...manifest.shards.map((shard, index) => row(`weights, shard ${index + 1}`, shard)),
  ];
}

/** Replaces the content of `host`. */
export function showPackageFiles(host: HTMLElement, manifest: Manifest, files: ReadonlyMap<string, Uint8Array>): void {
  const rows = rowsOf(manifest, files);
  const most = Math.max(...rows.map(({ bytes }) => bytes));
  const body = rows.map(({ role, bytes, hash }) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, role),
      element("td", { class: "bar-cell" }, element("span", { class: "bar", style: `width:${(100 * bytes) / most}%` })),
      element("td", { class: "number" }, bytesText(bytes)),
      element("td", {}, hash === "" ? "the root" : element("code", { title: `SHA-256 ${hash}` }, hash.slice(0, 10))),
    ),
  );
  const heads = ["file", "", "bytes", "SHA-256"].map((text) => element("th", { scope: "col" }, text));
  host.replaceChildren(
    element("table", {}, element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...body)),
  );
}
