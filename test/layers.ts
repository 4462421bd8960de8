/**
 * The layer rule, as data and one pure function: a file imports from its own folder and from the rows below it.
 *
 * Every way of naming another file counts: static and dynamic imports, re-exports, type-only imports, `import("x").T`,
 * and `new URL("x", import.meta.url)` (which loads a worker, so it may not close a cycle but must obey the rows).
 * A specifier that is not a literal is refused in runtime/ and compiler/, because no rule can be checked on it.
 */
import { posix } from "node:path";
import { parseSync, Visitor } from "vite";

/** Row of each folder, and of the files that stand directly in compiler/ and runtime/. */
const rows: readonly (readonly string[])[] = [
  ["runtime/format", "runtime/reference"],
  ["compiler/graph", "compiler/loop", "compiler/assemble"],
  ["compiler/ops", "compiler/kernels"],
  ["compiler/import", "compiler/passes", "compiler/quantize", "compiler/budget", "runtime/load"],
  ["compiler/plan", "runtime/engine"],
  ["compiler/codegen", "compiler/package", "runtime/worker", "runtime/monitor", "runtime/generate"],
  ["compiler", "compiler/cli", "runtime"],
  ["demo", "bench", "test"],
];

const filesOfRowSix: ReadonlySet<string> = new Set([
  ...[
    ...["build-package", "cli", "compile", "compile-options", "execution", "file-source", "generated-code"],
    ...["observe-worker", "observer-team", "pipeline", "provenance", "stores"],
    ...["report", "report-front", "report-html", "report-style", "worker"],
  ].map((name) => `compiler/${name}.ts`),
  ...["session", "index", "prepare", "worklet", "ort", "ort-session", "ort-tensor", "ort-options", "ort-compile"].map(
    (name) => `runtime/${name}.ts`,
  ),
]);

/** The command line and the files on disk that it reads. */
const filesThatTouchNode = /^compiler\/(cli\.ts|cli\/.+\.ts|file-source\.ts)$/;

/** Its modules are the user's. */
const loadsWhatUsersName = /^compiler\/cli\/load-metric\.ts$/;

interface Exception {
  readonly from: RegExp;
  readonly to: RegExp;
}

/** The crossings upwards: the compiler executes generated code, and the command line uses runtime and bench as any user does. */
const crossings: readonly Exception[] = [
  {
    from: /^compiler\/(build-package|compile|execution|generated-code)\.ts$/,
    to: /^runtime\/engine\/wasm(\.ts$|\/)/,
  },
  { from: /^compiler\/cli\/[a-z-]+\.ts$/, to: /^(runtime\/index\.ts|bench\/[a-z-]+\.ts)$/ },
];

/** A page that has an ONNX model starts the compiler, by its URL alone. */
const workers: readonly Exception[] = [{ from: /^runtime\/ort-compile\.ts$/, to: /^compiler\/worker\.ts$/ }];

const sameRow: readonly Exception[] = [
  { from: /^runtime\/reference\//, to: /^runtime\/format\// },
  { from: /^compiler\/ops\//, to: /^compiler\/kernels\/(.+\/)?(contract|problem)\.ts$/ },
  // A loop nest's extents are the graph's dimensions; the graph knows nothing of loops.
  { from: /^compiler\/loop\//, to: /^compiler\/graph\/dimension\.ts$/ },
  { from: /^compiler\/cli\.ts$/, to: /^compiler\/cli\// },
  { from: /^compiler\/cli\//, to: /^compiler\/(compile|file-source)\.ts$/ },
  // The budget chooses among roundings; those know nothing of it.
  { from: /^compiler\/budget\//, to: /^compiler\/quantize\// },
  { from: /^test\//, to: /^(demo|bench)\// },
];

/** Packages that only the named file may load; everything else in runtime/ has comlink and Node's own modules. */
const runtimePackages: Readonly<Record<string, RegExp>> = {
  comlink: /^runtime\//,
  "onnxruntime-web": /^runtime\/engine\/ort\.ts$/,
};

export interface Violation {
  readonly file: string;
  readonly imports: string;
  readonly rule: string;
}

export interface Packages {
  readonly dependencies: readonly string[];
  readonly devDependencies: readonly string[];
}

interface Reference {
  /** Undefined when the specifier is computed. */
  readonly specifier: string | undefined;
  readonly kind: "import" | "url";
}

function referencesOf(file: string, source: string): readonly Reference[] {
  const { program, errors } = parseSync(file, source);
  const [error] = errors;
  if (error !== undefined) throw new Error(`${file} does not parse: ${error.message}`);

  const references: Reference[] = [];
  const importOf = (specifier: string | undefined): number => references.push({ specifier, kind: "import" });
  new Visitor({
    ImportDeclaration: (node) => void importOf(node.source.value),
    ExportAllDeclaration: (node) => void importOf(node.source.value),
    ExportNamedDeclaration: (node) => void (node.source !== null && importOf(node.source.value)),
    TSImportType: (node) => void importOf(node.source.value),
    ImportExpression: ({ source: { type, ...node } }) =>
      void importOf(type === "Literal" && "value" in node && typeof node.value === "string" ? node.value : undefined),
    NewExpression: ({ callee, arguments: [path, base] }) => {
      if (callee.type !== "Identifier" || callee.name !== "URL") return;
      if (path?.type !== "Literal" || typeof path.value !== "string" || !/^\.{1,2}\//.test(path.value)) return;
      if (base?.type !== "MemberExpression" || base.object.type !== "MetaProperty") return;
      references.push({ specifier: path.value, kind: "url" });
    },
  }).visit(program);
  return references;
}

function folderOf(file: string): string {
  const [top = "", next] = file.split("/");
  const hasRows = top === "compiler" || top === "runtime";
  return hasRows && next !== undefined && file.split("/").length > 2 ? `${top}/${next}` : top;
}

function rowOf(file: string): number {
  const folder = folderOf(file);
  if ((folder === "compiler" || folder === "runtime") && !filesOfRowSix.has(file)) return -1;
  return rows.findIndex((row) => row.includes(folder));
}

/** Why `from` may not import the project file `to`, or undefined when it may. */
function fileRule(from: string, to: string, kind: Reference["kind"]): string | undefined {
  if (kind === "url" && workers.some((exception) => exception.from.test(from) && exception.to.test(to)))
    return undefined;
  const row = rowOf(from);
  const below = rowOf(to);
  if (below === -1) return `${to} is outside the folders and files that have a row`;
  const fromCompiler = from.startsWith("compiler/");
  if (from.startsWith("runtime/") && to.startsWith("compiler/")) return "runtime imports nothing from compiler";
  if (crossings.some((exception) => exception.from.test(from) && exception.to.test(to))) return undefined;
  if (fromCompiler && to.startsWith("runtime/") && below !== 0) {
    return "compiler imports from runtime only runtime/format and runtime/reference (and compile.ts runtime/engine/wasm)";
  }
  if (row === -1 || folderOf(from) === folderOf(to) || below < row) return undefined;
  if (sameRow.some((exception) => exception.from.test(from) && exception.to.test(to))) return undefined;
  return below === row
    ? `both stand in row ${row}: a file imports from its own folder and from the rows below`
    : `row ${row} may not import from row ${below}, which is above it`;
}

/** Why `file` may not import the package or Node module `specifier`, or undefined when it may. */
function packageRule(file: string, specifier: string, packages: Packages): string | undefined {
  const [scope = "", name = ""] = specifier.split("/");
  const wanted = scope.startsWith("@") ? `${scope}/${name}` : scope;
  if (file.startsWith("runtime/")) {
    if (specifier.startsWith("node:") || runtimePackages[wanted]?.test(file) === true) return undefined;
    return "runtime has no packages but comlink (and onnxruntime-web in runtime/engine/ort.ts)";
  }
  if (specifier.startsWith("node:")) {
    return !file.startsWith("compiler/") || filesThatTouchNode.test(file)
      ? undefined
      : "compiler/cli.ts, cli/ and file-source.ts are the only files of the compiler that touch Node";
  }
  if (packages.dependencies.includes(wanted)) return undefined;
  if (file.startsWith("compiler/")) return `${wanted} is not in the dependencies of package.json`;
  return packages.devDependencies.includes(wanted) ? undefined : `${wanted} is not in package.json`;
}

/** Every cycle that a depth-first walk closes, as the list of its files. */
function cyclesOf(graph: ReadonlyMap<string, readonly string[]>): readonly (readonly string[])[] {
  const cycles: (readonly string[])[] = [];
  const finished = new Set<string>();
  const walk = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) cycles.push(path.slice(path.indexOf(file)));
    if (finished.has(file) || path.includes(file)) return;
    for (const next of graph.get(file) ?? []) walk(next, [...path, file]);
    finished.add(file);
  };
  for (const file of graph.keys()) walk(file, []);
  return cycles;
}

/** @param files path from the project's root, with forward slashes, to source text. */
export function checkLayers(files: ReadonlyMap<string, string>, packages: Packages): readonly Violation[] {
  const violations: Violation[] = [];
  const graph = new Map<string, readonly string[]>();

  for (const [file, source] of files) {
    if (rowOf(file) === -1) violations.push({ file, imports: "", rule: "the file stands in no row of the layers" });
    const targets: string[] = [];
    for (const { specifier, kind } of referencesOf(file, source)) {
      if (specifier === undefined) {
        if (/^(runtime|compiler)\//.test(file) && !loadsWhatUsersName.test(file)) {
          violations.push({ file, imports: "(computed)", rule: "an import names its module with a literal" });
        }
        continue;
      }
      const relative = specifier.startsWith(".");
      const target = posix.join(posix.dirname(file), specifier.replace(/[?#].*$/, ""));
      const rule = relative ? fileRule(file, target, kind) : packageRule(file, specifier, packages);
      if (rule !== undefined) violations.push({ file, imports: specifier, rule });
      if (relative && kind === "import") targets.push(target);
    }
    graph.set(file, targets);
  }

  for (const cycle of cyclesOf(graph)) {
    const [first = "", second = first] = cycle;
    violations.push({ file: first, imports: second, rule: `import cycle: ${[...cycle, first].join(" -> ")}` });
  }
  return violations;
}
