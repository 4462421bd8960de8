/**
 * `leafcutter features`: what each browser of this machine, and Node, was seen to do, as a table of text, Markdown or
 * JSON. A browser that is not there is a line that says so.
 */
import { writeFile } from "node:fs/promises";
import { bytesSource, compile } from "../compiler/compile.ts";
import { LeafcutterError } from "../runtime/format/diagnostic.ts";
import { findBrowser, launchBrowser, openServer } from "./browser.ts";
import { browserTitles } from "./driven-browser.ts";
import type { Feature } from "./measure/features.ts";
import { inNode } from "./node-process.ts";
import { oneOperatorModel } from "./page/one-operator-model.ts";
import type { Where } from "./row.ts";
import type { Server } from "./serve.ts";

export interface FeatureColumn {
  readonly where: Where;
  readonly version: string;
  readonly features: readonly Feature[];
}

export interface FeaturesOptions {
  readonly where: readonly Where[];
  readonly json?: string;
  readonly markdown?: string;
  readonly print: (line: string) => void;
}

async function columnOf(server: Server, where: Where): Promise<FeatureColumn> {
  if (where === "node") {
    const { features } = await inNode({ kind: "features", package: `${server.url}/package/` });
    return { where, version: process.version.slice(1), features };
  }
  const browser = await launchBrowser(server, where);
  try {
    const page = await browser.open("features");
    const features = await page.evaluate<readonly Feature[]>(`leafcutterFeatures("/package/")`);
    return { where, version: browser.version, features };
  } finally {
    await browser.close();
  }
}

const titleOf = ({ where, version }: FeatureColumn): string =>
  `${where === "node" ? "Node" : browserTitles[where]} ${version}`;

/** One row a feature, one column a place; features in the order of the first column that has them. */
function rowsOf(columns: readonly FeatureColumn[]): readonly (readonly string[])[] {
  const names = [...new Set(columns.flatMap(({ features }) => features.map(({ name }) => name)))];
  const seen = ({ features }: FeatureColumn, name: string): string =>
    features.find((feature) => feature.name === name)?.seen ?? "–";
  return [
    ["feature", ...columns.map(titleOf)],
    ...names.map((name) => [name, ...columns.map((column) => seen(column, name))]),
  ];
}

export function renderFeaturesMarkdown(columns: readonly FeatureColumn[]): string {
  const [head = [], ...rows] = rowsOf(columns).map((row) => row.map((cell) => cell.replaceAll("|", "\\|")));
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

/** A block a place: the cells are sentences, too wide for columns on a terminal. */
export function renderFeaturesText(columns: readonly FeatureColumn[]): string {
  return columns
    .map((column) => {
      const width = Math.max(...column.features.map(({ name }) => name.length));
      return [titleOf(column), ...column.features.map(({ name, seen }) => `  ${name.padEnd(width)}  ${seen}`)].join(
        "\n",
      );
    })
    .join("\n\n");
}

export async function runFeatures({
  where,
  json,
  markdown,
  print,
}: FeaturesOptions): Promise<readonly FeatureColumn[]> {
  const source = bytesSource("relu.onnx", oneOperatorModel("Relu"));
  const { files } = await compile(source, { name: "relu", webgpu: true });
  const server = await openServer({ "/package/": { kind: "memory", files } });
  const columns: FeatureColumn[] = [];
  try {
    for (const place of where) {
      const found = place === "node" ? undefined : findBrowser(place);
      if (found !== undefined && "missing" in found) {
        print(`skipped ${place}: there is no ${found.missing}`);
        continue;
      }
      try {
        columns.push(await columnOf(server, place));
      } catch (error) {
        if (!(error instanceof LeafcutterError && error.code === "feature-missing")) throw error;
        print(`skipped ${place}: ${error.message}`);
      }
    }
  } finally {
    await server.close();
  }
  print(renderFeaturesText(columns));
  if (json !== undefined) await writeFile(json, `${JSON.stringify(columns, undefined, 2)}\n`);
  if (markdown !== undefined) await writeFile(markdown, `${renderFeaturesMarkdown(columns)}\n`);
  return columns;
}
