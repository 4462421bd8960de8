/**
 * Gives every symbolic dimension of the model's inputs a number or a range. The same name is the same symbol.
 * In order: what the caller binds (by name, as "input:axis", or "batch"; one "*" in the key binds many as one); 1 for a leading batch; arithmetic in the
 * name over other symbols; the shape of the sample. What is left is reported in one error.
 */
import { closest, LeafcutterError } from "../../../runtime/format/diagnostic.ts";
import type { DType } from "../../../runtime/format/dtype.ts";
import type { SymbolBound } from "../../../runtime/format/extent.ts";
import type { TensorArray } from "../../../runtime/format/tensor.ts";
import { type Dim, formatDim, sameDim } from "../../graph/dimension.ts";
import { matchPorts, type NamedTensor } from "../match-ports.ts";
import { starIn } from "../name-pattern.ts";
import { parseDimExpression } from "./dim-expression.ts";
import type { OnnxDim } from "./model.ts";

/** One value, every value of a range (both ends included), or arithmetic over other symbols: "past + 1". */
export type DimBinding = number | { readonly lower: number; readonly upper: number } | string;

type Range = Exclude<DimBinding, string>;

/** An input as the file declares it. */
export interface DeclaredInput {
  readonly name: string;
  /** undefined: unknown rank, taken from the sample. */
  readonly dims: readonly OnnxDim[] | undefined;
}

/** Belongs to the input of the same name, else of the same position. */
export interface SampleShape extends NamedTensor {
  readonly shape: readonly number[];
  /** For inputs on whose value shapes depend. */
  readonly dtype?: DType;
  readonly data?: TensorArray;
}

export interface DimOptions {
  /** By symbol name, "input:axis", or "batch": axis 0 of every input whose axis 0 is symbolic. "*" in a key: all that fit, as one dimension. */
  readonly dims?: Readonly<Record<string, DimBinding>>;
  /** Shapes of the inputs in the data set beside the model: its tensors will do. */
  readonly sampleShapes?: readonly SampleShape[];
  /** A leading batch that is not bound has the sample's size instead of 1: for a run on exactly that sample. */
  readonly batchFromSample?: boolean;
  /** Inputs, by name or pattern, that are states: a length that has a range may start at 0. */
  readonly states?: Readonly<Record<string, string>>;
}

export interface BoundDimensions {
  /** By input name. */
  readonly shapes: ReadonlyMap<string, readonly Dim[]>;
  /** The symbols that are left: those bound to a range. */
  readonly symbols: ReadonlyMap<string, SymbolBound>;
}

type Samples = ReadonlyMap<string, SampleShape>;

interface Place {
  readonly input: string;
  readonly axis: number;
}

interface DimSymbol {
  /** The name in the file, or "input:axis" where it has none. */
  readonly name: string;
  readonly named: boolean;
  readonly places: Place[];
  /** The key that bound it, for messages. */
  boundBy: string | undefined;
  value: Dim | undefined;
}

const largestExtent = 2 ** 31 - 1;
/** Placeholders that exporters write for "unknown"; two of them are not the same dimension. */
const placeholders: ReadonlySet<string> = new Set(["", "?", "None", "-1"]);

const placeName = ({ input, axis }: Place): string => `${input}:${axis}`;

const optionInvalid = (
  message: string,
  details: { readonly expected?: string; readonly received?: string; readonly advice?: string },
): LeafcutterError => new LeafcutterError({ code: "option-invalid", where: "dims", message, ...details });

/** Binds all dimensions. Throws option-invalid (a binding that fits nothing or contradicts) and dimension-unbound. */
export function bindDimensions(inputs: readonly DeclaredInput[], options: DimOptions): BoundDimensions {
  const samples: Samples = matchPorts(
    inputs.map(({ name }) => name),
    options.sampleShapes ?? [],
  );
  const ranked = inputs.map(({ name, dims }) => ({ name, dims: dims ?? samples.get(name)?.shape }));
  const symbols = collectSymbols(ranked);
  const symbolAt = new Map(
    symbols.flatMap((symbol) => symbol.places.map((place) => [placeName(place), symbol] as const)),
  );
  const bounds = new Map<string, SymbolBound>();

  const bindings = Object.entries(options.dims ?? {});
  const byName = new Map(symbols.filter(({ named }) => named).map((symbol) => [symbol.name, symbol]));
  const empty = Object.keys(options.states ?? {});
  let batch: Range | undefined;
  const spelled: { readonly key: string; readonly text: string; readonly symbols: readonly DimSymbol[] }[] = [];
  for (const [key, binding] of bindings) {
    const found = byName.get(key) ?? symbolAt.get(key);
    const bound = found ? [found] : key.includes("*") ? symbols.filter((symbol) => fitsPattern(symbol, key)) : [];
    const mayBeEmpty = bound.some((symbol) => isOfState(symbol, empty));
    if (typeof binding === "string") {
      if (bound.length === 0) checkFixed(key, Number.NaN, ranked, symbols);
      spelled.push({ key, text: binding, symbols: bound });
      continue;
    }
    checkBinding(key, binding, mayBeEmpty);
    if (bound[0]) for (const symbol of bound) bind(symbol, key, binding, bound[0].name, bounds);
    else if (key === "batch") batch = binding;
    else checkFixed(key, binding, ranked, symbols);
  }
  if (batch !== undefined) bindBatch(batch, symbols, bounds);
  for (const { key, text, symbols } of spelled) for (const symbol of symbols) bindSpelled(symbol, key, text, byName);

  for (const symbol of symbols)
    if (isBatch(symbol)) symbol.value ??= (options.batchFromSample ? sampleOf(symbol, samples) : undefined) ?? 1;
  for (const symbol of symbols) if (!isExpression(symbol, byName)) symbol.value ??= sampleOf(symbol, samples);
  for (const symbol of symbols) if (isExpression(symbol, byName)) resolveExpression(symbol, byName, samples);

  const unbound = symbols.filter(({ value }) => value === undefined);
  const unranked = ranked.filter(({ dims }) => dims === undefined);
  if (unbound.length > 0 || unranked.length > 0)
    throw unboundError(
      unbound,
      unranked.map(({ name }) => name),
    );

  const shapes = ranked.map(({ name, dims }): [string, readonly Dim[]] => [
    name,
    (dims ?? []).map((dim, axis) => symbolAt.get(placeName({ input: name, axis }))?.value ?? Number(dim)),
  ]);
  return { shapes: new Map(shapes), symbols: bounds };
}

function collectSymbols(inputs: readonly DeclaredInput[]): readonly DimSymbol[] {
  const symbols = new Map<string, DimSymbol>();
  for (const { name: input, dims } of inputs)
    dims?.forEach((dim, axis) => {
      if (typeof dim === "number" && dim >= 0) return;
      const named = typeof dim === "string" && !placeholders.has(dim.trim());
      const name = named ? dim : placeName({ input, axis });
      // A name cannot collide with a place: the key of a named one starts with "=".
      const key = named ? `=${name}` : name;
      const symbol = symbols.get(key);
      if (symbol) symbol.places.push({ input, axis });
      else symbols.set(key, { name, named, places: [{ input, axis }], boundBy: undefined, value: undefined });
    });
  return [...symbols.values()];
}

const fitsPattern = ({ name, places }: DimSymbol, pattern: string): boolean =>
  [name, ...places.map(placeName)].some((candidate) => starIn(pattern, candidate) !== undefined);

const isOfState = ({ places }: DimSymbol, states: readonly string[]): boolean =>
  places.some(({ input }) => states.some((pattern) => starIn(pattern, input) !== undefined));

/** Binds a symbol to arithmetic over symbols that are bound. */
function bindSpelled(symbol: DimSymbol, key: string, text: string, byName: ReadonlyMap<string, DimSymbol>): void {
  const known = (name: string): Dim | undefined => byName.get(name)?.value;
  const value = known(text) ?? parseDimExpression(text, known);
  if (value === undefined)
    throw optionInvalid(`${key} cannot be bound to ${text}`, {
      expected: "a whole number, a range LOWER..UPPER, or arithmetic over dimensions that are bound",
      received: text,
      advice: `Bind the dimensions it is made of: --dim NAME=N. There are ${[...byName.keys()].join(", ")}.`,
    });
  symbol.value = value;
  symbol.boundBy = key;
}

function checkBinding(key: string, binding: Range, mayBeEmpty: boolean): void {
  const [lower, upper] = typeof binding === "number" ? [binding, binding] : [binding.lower, binding.upper];
  const smallest = lower === upper || mayBeEmpty ? 0 : 1;
  if (
    Number.isSafeInteger(lower) &&
    Number.isSafeInteger(upper) &&
    lower >= smallest &&
    lower <= upper &&
    upper <= largestExtent
  )
    return;
  throw optionInvalid(`${key} cannot be bound to this`, {
    expected: "a whole number N, or a range LOWER..UPPER from 1 (from 0 for the length of a state)",
    received: typeof binding === "number" ? `${binding}` : `${lower}..${upper}`,
  });
}

/** Binds one symbol; the range of `symbolName` is entered into `bounds`. */
function bind(
  symbol: DimSymbol,
  key: string,
  binding: Range,
  symbolName: string,
  bounds: Map<string, SymbolBound>,
): void {
  const [lower, upper] = typeof binding === "number" ? [binding, binding] : [binding.lower, binding.upper];
  const value = lower === upper ? lower : symbolName;
  const earlier =
    symbol.value === undefined ? undefined : (bounds.get(symbolName) ?? { lower: symbol.value, upper: symbol.value });
  if (earlier && (earlier.lower !== lower || earlier.upper !== upper))
    throw optionInvalid(`${key} and ${symbol.boundBy} bind the same dimension to different values`, {
      expected: `${formatRange(earlier.lower, earlier.upper)}`,
      received: formatRange(lower, upper),
      advice: `Both are the dimension ${symbol.name} of ${symbol.places.map(placeName).join(", ")}: bind it once.`,
    });
  symbol.value = value;
  symbol.boundBy = key;
  if (typeof value === "string") bounds.set(value, { name: value, lower, upper });
}

const formatRange = (lower: Dim, upper: Dim): string =>
  lower === upper ? formatDim(lower) : `${formatDim(lower)}..${formatDim(upper)}`;

/** `batch` without a symbol of that name: axis 0 of every input that is symbolic there and not bound by name. */
function bindBatch(binding: Range, symbols: readonly DimSymbol[], bounds: Map<string, SymbolBound>): void {
  const leading = symbols.filter(({ places }) => places.some(({ axis }) => axis === 0));
  if (leading.length === 0)
    throw optionInvalid("batch fits no dimension", {
      expected: "an input whose axis 0 is symbolic",
      received:
        symbols.length === 0
          ? "a model whose shapes are all fixed"
          : `symbolic dimensions ${symbols.map(({ name }) => name).join(", ")}`,
      advice: "Export the model with a dynamic batch axis.",
    });
  const open = leading.filter(({ value }) => value === undefined);
  for (const symbol of open)
    bind(symbol, "batch", binding, open.length === 1 && symbol.named ? symbol.name : "batch", bounds);
}

/** A binding that names no symbol: "input:axis" of a fixed dimension may repeat its value; all else is a slip. */
function checkFixed(
  key: string,
  binding: Range,
  inputs: readonly DeclaredInput[],
  symbols: readonly DimSymbol[],
): void {
  const colon = key.lastIndexOf(":");
  const dims = inputs.find(({ name }) => name === key.slice(0, colon))?.dims;
  const fixed = dims?.[Number(key.slice(colon + 1))];
  if (colon > 0 && typeof fixed === "number") {
    if (fixed === binding) return;
    throw optionInvalid(`${key} is fixed in the model`, {
      expected: `${fixed}`,
      received: typeof binding === "number" ? `${binding}` : formatRange(binding.lower, binding.upper),
      advice: "Export the model with a dynamic axis there.",
    });
  }
  const candidates = [...new Set(symbols.flatMap((symbol) => [symbol.name, ...symbol.places.map(placeName)])), "batch"];
  const nearest = closest(key, candidates);
  throw optionInvalid(`the model has no dimension called ${key}`, {
    expected: `one of ${candidates.join(", ")}`,
    received: key,
    ...(nearest === undefined ? {} : { advice: `Did you mean ${nearest}?` }),
  });
}

/** A batch leads wherever it stands. */
const isBatch = ({ places }: DimSymbol): boolean => places.every(({ axis }) => axis === 0);

const isExpression = (symbol: DimSymbol, byName: ReadonlyMap<string, DimSymbol>): boolean =>
  symbol.named && parseDimExpression(symbol.name, (name) => (byName.has(name) ? name : undefined)) !== undefined;

/** The extent that the sample has at the symbol's places; throws option-invalid when it has several. */
function sampleOf(symbol: DimSymbol, samples: Samples): number | undefined {
  let found: { readonly extent: number; readonly place: Place } | undefined;
  for (const place of symbol.places) {
    const extent = samples.get(place.input)?.shape[place.axis];
    if (extent === undefined) continue;
    if (found && found.extent !== extent)
      throw optionInvalid(`the sample has two sizes for the dimension ${symbol.name}`, {
        expected: `${found.extent}, as at ${placeName(found.place)}`,
        received: `${extent} at ${placeName(place)}`,
        advice: "Bind the dimension, or repair the data set.",
      });
    found = { extent, place };
  }
  return found?.extent;
}

/** A name that is arithmetic over other symbols follows from them, unless the sample shows that the name does not mean it. */
function resolveExpression(symbol: DimSymbol, byName: ReadonlyMap<string, DimSymbol>, samples: Samples): void {
  const computed = parseDimExpression(symbol.name, (name) => byName.get(name)?.value);
  if (symbol.value !== undefined) {
    if (computed === undefined || symbol.boundBy === undefined || sameDim(symbol.value, computed)) return;
    throw optionInvalid(`${symbol.boundBy} contradicts the dimensions it is made of`, {
      expected: formatDim(computed),
      received: formatDim(symbol.value),
    });
  }
  const sample = sampleOf(symbol, samples);
  symbol.value = typeof computed === "object" || computed === undefined ? (computed ?? sample) : (sample ?? computed);
}

function unboundError(symbols: readonly DimSymbol[], unranked: readonly string[]): LeafcutterError {
  const flags = symbols.map(({ name }) => `--dim ${/^[\w.:/-]+$/.test(name) ? name : JSON.stringify(name)}=N`);
  const places = symbols.map((symbol) => `${symbol.name} (${symbol.places.map(placeName).join(", ")})`);
  return new LeafcutterError({
    code: "dimension-unbound",
    where: "inputs",
    message: "the model leaves dimensions open and no data set beside it tells their size",
    expected: "a number for each",
    received: [...places, ...unranked.map((name) => `${name} (shape unknown)`)].join("; "),
    advice:
      flags.length > 0
        ? `Bind them: ${flags.join(" ")}; each a number, a range 1..N, or arithmetic over others such as past+1.`
        : "Put a data set beside the model, or export it with shapes.",
  });
}
