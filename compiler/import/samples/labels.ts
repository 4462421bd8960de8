/**
 * What is known of each sample, from a file: lines of text, .json (a list, or an object by the sample's file name), .npy (one row a
 * sample), .csv (one row a sample; where the first column names the sample's file, rows may be in any order). Classes are
 * whole numbers; for a metric of the user's own a label may be anything.
 */
import { LeafcutterError } from "../../../runtime/format/diagnostic.ts";
import { readerOf } from "../../../runtime/reference/element.ts";
import { readNpy } from "../npy.ts";

export interface LabelFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** In the order of the samples, or by the names of their files. */
export type Labels =
  | { readonly kind: "list"; readonly values: readonly unknown[] }
  | { readonly kind: "names"; readonly values: ReadonlyMap<string, unknown> };

/** Throws option-invalid naming the file and what of it. */
export function readLabels({ name, bytes }: LabelFile): Labels {
  const ending = /\.(json|npy|csv)$/i.exec(name)?.[1]?.toLowerCase();
  if (ending === "npy") return { kind: "list", values: rowsOf(bytes, name) };
  const text = new TextDecoder().decode(bytes).replace(/^\uFEFF/, "");
  if (ending === "json") return fromJson(text, name);
  if (ending === "csv") return fromCsv(text, name);
  if (text.trim() === "") throw wrong(name, "the file is empty", "a label on each line", "nothing");
  return { kind: "list", values: linesOf(text).map(wordOf) };
}

/** The labels of samples, of which `places` says where they stood among all `total` when some were left out. */
export function labelsOf(
  labels: Labels,
  file: string,
  samples: {
    readonly total: number;
    readonly places: readonly number[];
    readonly names: readonly string[] | undefined;
  },
): readonly unknown[] {
  const { total, places, names } = samples;
  if (labels.kind === "list") {
    if (labels.values.length !== total)
      throw wrong(
        file,
        "there are not as many of them as samples",
        `${total}, one for each sample`,
        `${labels.values.length}`,
        "Give one for each sample, in the order of the samples (files: by name).",
      );
    return places.map((place) => labels.values[place]);
  }
  if (!names) throw wrong(file, "samples without file names cannot be named", "a list", "an object of names");
  return names.map((name) => {
    const short = name.slice(name.lastIndexOf("/") + 1);
    for (const key of [name, short, short.replace(/\.\w+$/, "")])
      if (labels.values.has(key)) return labels.values.get(key);
    throw wrong(file, `nothing is said of the sample ${name}`, name, [...labels.values.keys()].slice(0, 3).join(", "));
  });
}

function wrong(where: string, message: string, expected: string, received: string, advice?: string): LeafcutterError {
  return new LeafcutterError({
    code: "option-invalid",
    where,
    message,
    expected,
    received,
    advice: advice ?? "Write one label a sample: a line of text each, or .json, .npy or .csv.",
  });
}

const linesOf = (text: string): readonly string[] => text.trimEnd().split(/\r?\n/);

/** A number where it is one. */
const wordOf = (word: string): unknown => {
  const trimmed = word.trim();
  return trimmed !== "" && Number.isFinite(Number(trimmed)) ? Number(trimmed) : trimmed;
};

function fromJson(text: string, name: string): Labels {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw wrong(name, "the file is not JSON", "a list", cause instanceof Error ? cause.message : "something else");
  }
  if (Array.isArray(value)) return { kind: "list", values: value };
  if (typeof value !== "object" || value === null)
    throw wrong(name, "the file is neither a list nor an object", '[3, 0, 7] or {"cat.png": 3}', JSON.stringify(value));
  return { kind: "names", values: new Map(Object.entries(value)) };
}

function rowsOf(bytes: Uint8Array, name: string): readonly unknown[] {
  const tensor = readNpy(bytes, name);
  const [count = 1, ...rest] = tensor.shape;
  if (tensor.shape.length === 0) throw wrong(name, "the array has no axis of samples", "[samples]", "[]");
  const read = readerOf(tensor);
  const width = rest.reduce((product, extent) => product * extent, 1);
  return Array.from({ length: count }, (_, row) =>
    width === 1 ? Number(read(row)) : Array.from({ length: width }, (_, column) => Number(read(row * width + column))),
  );
}

function fromCsv(text: string, name: string): Labels {
  const [first = [], ...rest] = linesOf(text).map(cellsOf);
  const isHeader =
    rest.length > 0 &&
    first.every((cell) => typeof cell === "string") &&
    rest.some((row) => row.some((cell) => typeof cell === "number"));
  const rows = isHeader ? rest : [first, ...rest];
  const ragged = rows.findIndex((row) => row.length !== first.length);
  if (ragged >= 0)
    throw wrong(
      name,
      `row ${ragged + (isHeader ? 2 : 1)} has another number of columns`,
      `${first.length}`,
      `${rows[ragged]?.length}`,
    );
  const labelOf = (cells: readonly unknown[]): unknown => (cells.length === 1 ? cells[0] : cells);
  const isNamed = first.length > 1 && rows.every(([cell]) => typeof cell === "string" && /\.\w+$/.test(cell));
  if (isNamed) return { kind: "names", values: new Map(rows.map(([key, ...cells]) => [String(key), labelOf(cells)])) };
  return { kind: "list", values: rows.map(labelOf) };
}

/** Cells of one line; quotes keep commas, doubled ones stand for themselves. */
function cellsOf(line: string): readonly unknown[] {
  const cells: unknown[] = [];
  for (const match of line.matchAll(/(?:^|[,;\t])\s*(?:"((?:[^"]|"")*)"|([^,;\t]*))/g))
    cells.push(match[1] === undefined ? wordOf(match[2] ?? "") : match[1].replaceAll('""', '"'));
  return cells;
}
